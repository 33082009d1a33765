package stage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

// flaky is a check that holds at the given looks, from 1, and at all later ones.
type flaky struct {
	command
	looks *int
	holds func(look int) bool
}

func (f flaky) Probe(context.Context, *stage.Session) error {
	*f.looks++
	if !f.holds(*f.looks) {
		return errors.New("not yet")
	}
	return nil
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		holds func(int) bool
		err   string
	}{
		{"at once", func(int) bool { return true }, ""},
		{"after a while", func(n int) bool { return n > 3 }, ""},
		{"comes and goes, then stays", func(n int) bool { return n == 2 || n > 4 }, ""},
		{"comes and goes", func(n int) bool { return n%2 == 0 }, "it comes and goes"},
		{"never", func(int) bool { return false }, "seen instead, since"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, single("one"))
			looks := 0
			st := &f.plan.Setups[0].Stages[0]
			st.Checks = []stage.Check{flaky{command{"flaky"}, &looks, tt.holds}}
			if tt.name == "never" {
				st.CheckTimeout = 500 * time.Millisecond
			}
			_, err := f.lab().Run(context.Background(), stage.Steering{})
			if tt.err == "" && err != nil || tt.err != "" && (!errors.Is(err, stage.ErrCheck) || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.err != "" && f.volumes["gw"].Count("Save") != 1 { // the base
				t.Error("the tree was saved all the same")
			}
		})
	}
}

// rude is a check that sees what would clear the terminal it is shown on.
type rude struct{ command }

func (rude) Probe(context.Context, *stage.Session) error {
	return fmt.Errorf("%w: status \x1b[2J\x1b]0;title\x07200\x00\nand more", stage.ErrInvalid)
}

func TestCheckErrorsAreSafeToShow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.plan.Setups[0].Stages[0].Checks = []stage.Check{rude{command{"rude"}}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	const want = "invalid: status 200·\nand more"
	if failed := f.kinds(stage.EventCheckFailed); len(failed) != 1 || failed[0].Err != want {
		t.Errorf("events %+v", failed)
	}
	var e *stage.Error
	if !errors.As(err, &e) || !strings.HasSuffix(e.Err.Error(), want) {
		t.Errorf("error %q", err)
	}
}
