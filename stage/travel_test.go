package stage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

func TestRollback(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, pair())
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	for _, tt := range []struct{ stage, gw, web string }{
		{"g2", "g1 g2", "w1 w2 w3"},
		{"g1", "g1", "w1"}, // web/w2 needs gw/g2, which is undone
		{"g3", "g1 g2 g3", "w1"},
		{"web/w3", "g1 g2 g3", "w1 w2 w3"},
	} {
		if _, err := f.lab().Rollback(ctx, tt.stage); err != nil {
			t.Fatal(err)
		}
		f.wantLog("gw", tt.gw)
		f.wantLog("web", tt.web)
		if up, _ := f.machines["gw"].Running(ctx); !up {
			t.Errorf("after going to %s gw does not run", tt.stage)
		}
	}
	if _, err := f.lab().Rollback(ctx, "g1"); err != nil {
		t.Fatal(err)
	}
	f.run(stage.Steering{}) // forward again, from snapshots only
	f.wantLog("gw", "g1 g2 g3")
	f.wantLog("web", "w1 w2 w3")

	f.plan.Setups[1].Stages[1].Steps = []stage.Step{do("new")}
	before := f.volumes["gw"].Count("Restore")
	if _, err := f.lab().Rollback(ctx, "g2"); !errors.Is(err, stage.ErrNotFound) {
		t.Errorf("going to a stage without a snapshot: %v", err)
	}
	if f.volumes["gw"].Count("Restore") != before {
		t.Error("something was restored all the same")
	}
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, pair())
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	for _, name := range []string{"gw", "web"} {
		f.volumes[name].Call("Save", 0, func() {
			for other, m := range f.machines {
				err := m.Exec(ctx, stage.Command{Args: []string{"true"}})
				if err == nil {
					t.Errorf("%s was saved while %s went on", name, other)
				}
			}
		})
	}
	if _, err := f.lab().Checkpoint(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.lab().Checkpoint(ctx, "before"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same name again: %v", err)
	}
	for name, m := range f.machines {
		if err := m.Exec(ctx, stage.Command{Args: []string{"append", "/log", "experiment"}}); err != nil {
			t.Errorf("%s was not thawed: %v", name, err)
		}
	}
	if err := f.lab().RestoreCheckpoint(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	f.wantLog("gw", "g1 g2 g3")
	f.wantLog("web", "w1 w2 w3")
	f.run(stage.Steering{}) // the trees are known to be those of the last stages

	if list, err := f.lab().Checkpoints(); err != nil || len(list) != 1 || list[0].Name != "before" {
		t.Errorf("checkpoints %+v, %v", list, err)
	}
	if err := f.lab().RemoveCheckpoint(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	if err := f.lab().RestoreCheckpoint(ctx, "before"); !errors.Is(err, stage.ErrNotFound) {
		t.Errorf("a checkpoint that was removed: %v", err)
	}
}

// TestCheckpointOfFewer: that a machine is not of the time that the others go back to is said.
func TestCheckpointOfFewer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, pair())
	both := f.plan
	f.plan.Setups = both.Setups[1:]
	delete(f.machines, "web")
	f.run(stage.Steering{}, "gw/g1", "gw/g2", "gw/g3")
	if _, err := f.lab().Checkpoint(ctx, "alone"); err != nil {
		t.Fatal(err)
	}
	f.plan = both
	f.restart()
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3")
	if err := f.lab().RestoreCheckpoint(ctx, "alone"); err != nil {
		t.Fatal(err)
	}
	notes := f.kinds(stage.EventNote)
	if len(notes) != 1 || notes[0].Machine != "web" || !strings.Contains(notes[0].Text, "checkpoint alone does not have it") {
		t.Errorf("notes %+v", notes)
	}
}

// TestCheckpointNames: a name that leads out of the directory of checkpoints is none, or
// removing it would remove some other record.
func TestCheckpointNames(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, single("one"))
	f.run(stage.Steering{}, "gw/one")
	for _, name := range []string{"../machines/gw", "", "a/b"} {
		_, err := f.lab().Checkpoint(ctx, name)
		for _, err := range []error{err, f.lab().RestoreCheckpoint(ctx, name), f.lab().RemoveCheckpoint(ctx, name)} {
			if !errors.Is(err, stage.ErrInvalid) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	f.run(stage.Steering{})
}

func TestCheckpointThawsAfterFailure(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, pair())
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	f.volumes["web"].Fail("Save", 0, errInjected)
	if _, err := f.lab().Checkpoint(ctx, "c"); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	for name, m := range f.machines {
		if err := m.Exec(ctx, stage.Command{Args: []string{"true"}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := f.lab().Checkpoints(); err != nil || len(list) != 0 {
		t.Errorf("half a checkpoint is listed: %+v, %v", list, err)
	}
	if _, err := f.lab().Checkpoint(ctx, "c"); err != nil {
		t.Errorf("trying again: %v", err)
	}
}

func TestFork(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, pair())
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	for _, n := range []string{"a", "b", "c"} {
		g := &fixture{t: t, dir: filepath.Join(f.dir, "fork-"+n), plan: f.plan}
		g.opts.StateDir = filepath.Join(g.dir, "state")
		g.restart()
		opts := g.opts
		opts.Targets = map[string]stage.Target{}
		for name, m := range g.machines {
			opts.Targets[name] = stage.Target{Machine: m, Volume: g.volumes[name]}
		}
		if _, err := f.lab().Fork(ctx, stage.Steering{}, opts); err != nil {
			t.Fatal(err)
		}
		g.run(stage.Steering{})
		g.wantLog("gw", "g1 g2 g3")
		if got := g.volumes["gw"].Count("Reset"); got != 0 {
			t.Error("the fork was built from the base")
		}
		g.plan = pair()
		g.plan.Setups[1].Stages[2].Steps = []stage.Step{do(n)}
		_, err := g.lab().Run(ctx, stage.Steering{})
		// It has no snapshot of the stage before the last, so that it begins anew.
		if err != nil {
			t.Fatal(err)
		}
		g.wantLog("gw", "g1 g2 "+n)
	}
	f.wantLog("gw", "g1 g2 g3")
}

// without is a check that holds unless /log in the machine has a word.
type without struct{ command }

func (w without) Probe(ctx context.Context, s *stage.Session) error {
	out, err := s.Output(ctx, "cat", "/log")
	if err == nil && slices.Contains(strings.Fields(string(out)), w.command[0]) {
		err = fmt.Errorf("it is there, and stays: %w", stage.ErrInvalid) // no need to look again
	}
	return err
}

func TestBisect(t *testing.T) {
	t.Parallel()
	words := []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11"}
	f := newFixture(t, single(words...))
	if _, err := f.lab().Run(context.Background(), stage.Steering{}); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"s0", "s4", "s5", "s11"} {
		before := f.volumes["gw"].Count("Restore")
		got, err := f.lab().Bisect(context.Background(), "gw", without{command{word}})
		if err != nil || got != word {
			t.Fatalf("planted %s, found %q, %v", word, got, err)
		}
		if n := f.volumes["gw"].Count("Restore") - before; n > 4 { // ⌈log₂ 12⌉
			t.Errorf("%s: %d restores", word, n)
		}
	}
	// Once with another tree, and once with the last, where it is looked at first.
	for range 2 {
		if got, err := f.lab().Bisect(context.Background(), "gw", without{command{"never"}}); !errors.Is(err, stage.ErrNotFound) {
			t.Errorf("a check that holds: %q, %v", got, err)
		}
		f.run(stage.Steering{})
	}
	ctx, cancel := context.WithCancel(context.Background())
	interrupted := check.Func{Name: "is interrupted", Look: func(ctx context.Context, _ *stage.Session) error {
		cancel()
		return ctx.Err()
	}}
	if _, err := f.lab().Bisect(ctx, "gw", interrupted); !errors.Is(err, context.Canceled) || errors.Is(err, stage.ErrNotFound) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, single("one", "two"))
	f.run(stage.Steering{}, "gw/one", "gw/two")
	for _, name := range []string{"c", "half"} {
		if _, err := f.lab().Checkpoint(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("zwei")}
	f.run(stage.Steering{}, "gw/two")
	removed, err := f.lab().Prune(ctx)
	if err != nil || len(removed) != 1 || !strings.HasPrefix(removed[0], "gw/two-") {
		t.Errorf("removed %q, %v", removed, err)
	}
	if again, err := f.lab().Prune(ctx); err != nil || again != nil {
		t.Errorf("again removed %q, %v", again, err)
	}
	f.volumes["gw"].Fail("Remove", 0, errInjected)
	if err := f.lab().RemoveCheckpoint(ctx, "half"); !errors.Is(err, errInjected) {
		t.Errorf("removal that fails halfway: %v", err)
	}
	if removed, err := f.lab().Prune(ctx); err != nil || !slices.Equal(removed, []string{"gw/checkpoint-half"}) {
		t.Errorf("removed %q, %v", removed, err)
	}
	f.run(stage.Steering{})
	f.run(stage.Steering{From: "one"}, "gw/one", "gw/two")
	if err := f.lab().RestoreCheckpoint(ctx, "c"); err != nil {
		t.Error(err)
	}
}

func TestOldLogsGo(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	for range 25 {
		f.run(stage.Steering{From: "one"}, "gw/one")
	}
	logs, err := filepath.Glob(filepath.Join(f.opts.StateDir, "logs", "*"))
	if err != nil || len(logs) != 20 {
		t.Errorf("%d runs' logs, %v", len(logs), err)
	}
}

// TestBisectSession: what a check of Bisect sees is what the stage's own checks see, with
// the machines that the stage needs.
func TestBisectSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pair())
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	var missing []string
	look := func(ctx context.Context, s *stage.Session) error {
		if _, err := s.On("gw"); err != nil {
			missing = append(missing, err.Error())
		}
		return without{command{"w2"}}.Probe(ctx, s)
	}
	got, err := f.lab().Bisect(context.Background(), "web", check.Func{Name: "looks", Look: look})
	if err != nil || got != "w2" {
		t.Errorf("found %q, %v", got, err)
	}
	// Of the three stages w3, at which the tree is, w2 and w1 are looked at.
	if len(missing) != 2 {
		t.Errorf("gw is not seen: %q", missing)
	}
}
