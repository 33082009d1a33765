package snapshot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestFault makes every one of those system calls fail in turn, as on a full file
// system, and then it and all that follow.
func TestFault(t *testing.T) {
	for name, once := range map[string]bool{"once": true, "from then on": false} {
		t.Run(name, func(t *testing.T) { testFault(t, once) })
	}
}

func testFault(t *testing.T, once bool) {
	for _, b := range benches(t) {
		for _, op := range slices.Sorted(maps.Keys(operations)) {
			before, after, points := outcomes(t, b, op)
			var s *Store
			for n := range points {
				if os.Getenv(tortureVariable) == "" && n%3 != 0 {
					continue
				}
				if s == nil {
					s = furnish(t, b, fmt.Sprintf("%s-%d", op, n))
				}
				what := fmt.Sprintf("%s %s failed at point %d", b.driver.Name(), op, n)
				err := operations[op](failAt(t.Context(), n, once, unix.ENOSPC), s)
				if err != nil && !errors.Is(err, ErrNoSpace) {
					t.Errorf("%s: %v", what, err)
				}
				changed := whole(t, s, before, after, what)
				if changed && err != nil && once && !cmp.Equal(before, after) {
					t.Errorf("%s: changed in spite of %v", what, err)
				}
				if changed {
					s = nil
				}
			}
		}
	}
}

// failAt makes the n-th point fail, once or with all that follow.
func failAt(ctx context.Context, n int, once bool, err error) context.Context {
	return withSerialProbe(ctx, func() error {
		n--
		if n == -1 || n < -1 && !once {
			return err
		}
		return nil
	})
}

// A stuckDriver can place and remove nothing while it is stuck.
type stuckDriver struct {
	Driver
	stuck *bool
}

func (d stuckDriver) Remove(ctx context.Context, path string) error {
	if there, _ := present(path); there && *d.stuck {
		return unix.EPERM
	}
	return d.Driver.Remove(ctx, path)
}

func (d stuckDriver) Place(ctx context.Context, tree, path string) error {
	if *d.stuck {
		return unix.EPERM
	}
	return d.Driver.Place(ctx, tree, path)
}

// TestStuck: what could not be removed must not take with it what came to have its name.
func TestStuck(t *testing.T) {
	t.Parallel()
	needRoot(t)
	stuck := true
	s := openStore(t, t.TempDir(), Options{Driver: stuckDriver{Copy(), &stuck}})
	_, err := s.Create(t.Context(), "gw")
	wantErr(t, err, unix.EPERM)
	left, err := os.ReadDir(s.state("work"))
	if err != nil || len(left) != 1 {
		t.Fatalf("left %v, %v: nothing was stuck", left, err)
	}
	s.driver = placing{s.driver.(stuckDriver)}
	v := newVolume(t, s, "gw")
	take(t, v, "a", Metadata{})
	want := describe(t, s)
	stuck = false
	again := openStore(t, s.Dir(), Options{Driver: Copy()})
	if diff := cmp.Diff(want, describe(t, again)); diff != "" {
		t.Error(diff)
	}
	noLeftovers(t, again)
}

// placing is stuck in removing only.
type placing struct{ stuckDriver }

func (d placing) Place(ctx context.Context, tree, path string) error {
	return d.stuckDriver.Driver.Place(ctx, tree, path)
}
