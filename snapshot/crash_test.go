package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tortureVariable makes the tests kill at every point instead of at a sample, and
// kill the sweep that follows as well.
const tortureVariable = "RIG_TORTURE"

// operations are what is killed and made to fail half-way, on the store that
// furnish makes. Each runs in this process or, to be killed, in another.
var operations = map[string]func(context.Context, *Store) error{
	"create": func(ctx context.Context, s *Store) error {
		_, err := s.Create(ctx, "new")
		return err
	},
	"clone": func(ctx context.Context, s *Store) error {
		_, err := s.Clone(ctx, "new", Snapshot{Volume: "gw", Name: "a"})
		return err
	},
	"snapshot": onGW(func(ctx context.Context, v *Volume) error {
		_, err := v.Snapshot(ctx, "c", Metadata{Key: "k"})
		return err
	}),
	"restore":               onGW(func(ctx context.Context, v *Volume) error { return v.Restore(ctx, "a") }),
	"rename":                onGW(func(ctx context.Context, v *Volume) error { _, err := v.Rename(ctx, "new"); return err }),
	"delete":                onGW(func(ctx context.Context, v *Volume) error { return v.Delete(ctx) }),
	"delete-snapshot":       onGW(func(ctx context.Context, v *Volume) error { return v.DeleteSnapshot(ctx, "a") }),
	"delete-without-intent": onGW(func(ctx context.Context, v *Volume) error { return wrap(Error{}, v.deleteWithoutIntent(ctx, "a")) }),
	"rename-snapshot":       onGW(func(ctx context.Context, v *Volume) error { return v.RenameSnapshot(ctx, "a", "z") }),
	"import": onGW(func(ctx context.Context, v *Volume) error {
		var stream bytes.Buffer
		if _, err := v.Export(context.Background(), "a", &stream, ExportOptions{}); err != nil {
			return err
		}
		_, _, err := v.store.Import(ctx, "new", &stream, ImportOptions{})
		return err
	}),
	"import-since": onGW(func(ctx context.Context, v *Volume) error {
		var stream bytes.Buffer
		if _, err := v.Export(context.Background(), "b", &stream, ExportOptions{Since: "a"}); err != nil {
			return err
		}
		web, err := v.store.Volume("web")
		if err != nil {
			return err
		}
		_, err = web.Import(ctx, &stream, ImportOptions{})
		return err
	}),
	"open": func(ctx context.Context, s *Store) error {
		again, err := Open(ctx, s.Dir(), Options{Driver: s.Driver()})
		if err == nil {
			err = again.Close()
		}
		return err
	},
}

func onGW(f func(context.Context, *Volume) error) func(context.Context, *Store) error {
	return func(ctx context.Context, s *Store) error {
		v, err := s.Volume("gw")
		if err != nil {
			return err
		}
		return f(ctx, v)
	}
}

// A bench is a driver and a directory in which it works.
type bench struct {
	driver Driver
	dir    string
}

// benches are all drivers, each on a file system of the test's own.
func benches(t *testing.T) []bench {
	return []bench{{Btrfs(), newPool(t, 512<<20).Dir()}, {Overlay(), newTmpfs(t)}, {Copy(), newTmpfs(t)}}
}

// furnish makes a store that has something of everything, from nothing.
func furnish(t *testing.T, b bench, name string) *Store {
	t.Helper()
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, Options{Driver: b.driver})
	v := newVolume(t, s, "gw")
	write(t, filepath.Join(v.Path(), "etc/hostname"), "1")
	if b.driver.Name() == "btrfs" {
		if err := createSubvolume(filepath.Join(v.Path(), "sub")); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(v.Path(), "sub/f"), "nested")
	}
	take(t, v, "a", Metadata{Key: "ka"})
	write(t, filepath.Join(v.Path(), "etc/hostname"), "2")
	take(t, v, "b", Metadata{Key: "kb"})
	write(t, filepath.Join(v.Path(), "etc/hostname"), "3")
	var stream bytes.Buffer
	if _, err := v.Export(t.Context(), "a", &stream, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Import(t.Context(), "web", &stream, ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// describe is all that a user of the store can see.
func describe(t *testing.T, s *Store) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for v, err := range s.Volumes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[v.Name()] = append(tree(t, v.Path()), "base "+v.base())
		for snap, err := range v.Snapshots(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			dir, release, err := s.driver.View(t.Context(), v.frozen(snap.Name))
			if err != nil {
				t.Fatal(err)
			}
			key := v.Name() + "/" + snap.Name
			all[key] = append(tree(t, dir), "key "+snap.Key, "parent "+snap.Parent)
			if err := release(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// outcomes is what the store looks like before and after an operation, and how many
// points there are in it to be interrupted at.
func outcomes(t *testing.T, b bench, op string) (before, after map[string][]string, points int) {
	t.Helper()
	s := furnish(t, b, op+"-undisturbed")
	before = describe(t, s)
	ctx := withSerialProbe(t.Context(), func() error { points++; return nil })
	if err := operations[op](ctx, s); err != nil {
		t.Fatal(err)
	}
	return before, describe(t, s), points
}

// TestKill kills a process before and after every system call with which it changes
// something, in every operation of every driver.
func TestKill(t *testing.T) {
	torture := os.Getenv(tortureVariable) != ""
	kills := 0
	for _, b := range benches(t) {
		for i, op := range slices.Sorted(maps.Keys(operations)) {
			before, after, points := outcomes(t, b, op)
			var s *Store
			for n := range points {
				if !torture && n%8 != i%8 {
					continue
				}
				if s == nil {
					s = furnish(t, b, fmt.Sprintf("%s-%d", op, n))
				}
				killAt(t, b, s.Dir(), op, n)
				kills++
				for torture && rand.N(3) > 0 && killAt(t, b, s.Dir(), "open", rand.N(12)) {
					kills++
				}
				if changed := whole(t, s, before, after, fmt.Sprintf("%s %s killed at point %d", b.driver.Name(), op, n)); changed {
					s = nil
				}
			}
		}
	}
	t.Logf("tally: snapshot, killed in an operation: %d", kills)
}

// TestDestroyAfterKill: another process dies while it deletes the last volume, and what it
// had begun is carried on or undone before the store goes.
func TestDestroyAfterKill(t *testing.T) {
	for _, b := range benches(t) {
		destroyed := 0
		for n, died := 0, true; died; n += 3 {
			web, err := furnish(t, b, fmt.Sprint("destroy-", n)).Volume("web")
			if err == nil {
				err = web.Delete(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), web.store.Dir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			died = killAt(t, b, s.Dir(), "delete", n)
			what := fmt.Sprintf("%s: deletion killed at point %d", b.driver.Name(), n)
			err = s.Destroy(t.Context())
			if errors.Is(err, ErrBusy) { // the volume is there still
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				continue
			}
			destroyed++
			if left := tree(t, s.Dir()); err != nil || len(left) > 0 {
				t.Errorf("%s: destroyed, %v, and left %q", what, err, left)
			}
		}
		if destroyed < 2 {
			t.Errorf("%s: destroyed %d times", b.driver.Name(), destroyed)
		}
	}
}

// whole opens the store anew and fails unless it looks as before or as after. It
// reports whether it must not be used again.
func whole(t *testing.T, s *Store, before, after map[string][]string, what string) (changed bool) {
	t.Helper()
	again := openStore(t, s.Dir(), Options{})
	got := describe(t, again)
	noLeftovers(t, again)
	switch {
	case cmp.Equal(got, before):
		return false
	case cmp.Equal(got, after):
		return true
	}
	t.Errorf("%s: neither the old state (-):\n%s\nnor the new:\n%s", what, cmp.Diff(before, got), cmp.Diff(after, got))
	return true
}

// killAt runs an operation in a process that is killed at point n. It reports false
// if the operation had no such point.
func killAt(t *testing.T, b bench, dir, op string, n int) bool {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=operate", "SNAPSHOT_TEST_DIR="+dir,
		"SNAPSHOT_TEST_OP="+op, "SNAPSHOT_TEST_POINT="+strconv.Itoa(n))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%s %s: %v: %s", b.driver.Name(), op, err, out)
	}
	return true
}

// operateAndDie is the other side of killAt.
func operateAndDie(dir, op, point string) error {
	n, err := strconv.Atoi(point)
	if err != nil {
		return err
	}
	ctx := withSerialProbe(context.Background(), func() error {
		if n == 0 {
			die()
		}
		n--
		return nil
	})
	if op == "open" { // whose sweep is what is to be killed
		s, err := Open(ctx, dir, Options{})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	s, err := Open(context.Background(), dir, Options{})
	if err != nil {
		return err
	}
	return operations[op](ctx, s)
}

// withSerialProbe calls p at each point, and never twice at once.
func withSerialProbe(ctx context.Context, p func() error) context.Context {
	var mu sync.Mutex
	return withProbe(ctx, func(string, bool) error {
		mu.Lock()
		defer mu.Unlock()
		return p()
	})
}
