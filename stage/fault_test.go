package stage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

var errInjected = errors.New("injected fault")

// TestEveryFaultIsSurvived makes each method fail at each of its calls in turn. The run
// must fail, or cope, and the next one must end with the tree of an undisturbed run.
func TestEveryFaultIsSurvived(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		"volume Save", "volume Restore", "volume Remove", "volume Reset", "volume Saved",
		"machine Start", "machine Stop", "machine Kill", "machine Freeze", "machine Thaw", "machine Exec", "machine Running",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			what, name, _ := strings.Cut(method, " ")
			for skip := range 5 {
				f := newFixture(t, single("one", "two", "three"))
				f.run(stage.Steering{Until: "one"}, "gw/one")
				faults := &f.machines["gw"].Faults
				if what == "volume" {
					faults = &f.volumes["gw"].Faults
				}
				faults.Fail(name, skip, errInjected)
				_, err := f.lab().Run(context.Background(), stage.Steering{From: "one"})
				if err != nil && !errors.Is(err, errInjected) {
					t.Errorf("call %d: error %v", skip, err)
				}
				f.restart()
				if _, err := f.lab().Run(context.Background(), stage.Steering{}); err != nil {
					t.Errorf("call %d: next run: %v", skip, err)
				}
				f.wantLog("gw", "one two three")
			}
		})
	}
}

func TestMissingSnapshotFallsBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	// Behind our back, and so that the list still has it, as if it were corrupted.
	f.volumes["gw"].Fail("Restore", 0, errInjected)
	f.machines["gw"].Die()
	f.run(stage.Steering{}, "gw/three")
	f.wantLog("gw", "one two three")
	if notes := f.kinds(stage.EventNote); len(notes) != 1 || !strings.Contains(notes[0].Text, "going back further") {
		t.Errorf("notes: %+v", notes)
	}
	// All of them are gone, the base's too.
	saved, err := f.volumes["gw"].Saved(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range saved {
		if err := f.volumes["gw"].Remove(context.Background(), s.Name); err != nil {
			t.Fatal(err)
		}
	}
	f.restart()
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	if why := f.kinds(stage.EventStageStarted)[0].Why; !strings.Contains(why, "is gone") {
		t.Errorf("why = %q", why)
	}
	f.wantLog("gw", "one two three")
}

// TestNameOfAStaleSnapshot has a snapshot that a run was told to replace, and did not get
// to, deleted behind our back: the next one may well have its name.
func TestNameOfAStaleSnapshot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two"))
	f.run(stage.Steering{}, "gw/one", "gw/two")
	f.volumes["gw"].Fail("Save", 0, errInjected)
	if _, err := f.lab().Run(context.Background(), stage.Steering{From: "two"}); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	saved, err := f.volumes["gw"].Saved(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.volumes["gw"].Remove(context.Background(), saved[len(saved)-1].Name); err != nil {
		t.Fatal(err)
	}
	f.run(stage.Steering{}, "gw/two")
	f.run(stage.Steering{})
}

// TestWithoutTargets calls what cannot do without.
func TestWithoutTargets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	l, err := stage.Open(f.plan, stage.Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Run":        func() error { _, err := l.Run(ctx, stage.Steering{}); return err },
		"PowerOff":   func() error { return l.PowerOff(ctx) },
		"Rollback":   func() error { _, err := l.Rollback(ctx, "one"); return err },
		"Checkpoint": func() error { _, err := l.Checkpoint(ctx, "c"); return err },
		"Fork": func() error {
			opts := f.opts
			opts.Targets = map[string]stage.Target{"gw": {Machine: f.machines["gw"], Volume: f.volumes["gw"]}}
			_, err := l.Fork(ctx, stage.Steering{}, opts)
			return err
		},
	} {
		if err := call(); !errors.Is(err, stage.ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestDamagedState(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", "\x00\x00", `{"Clean":true,"Tree":"nonsense"}`} {
		f := newFixture(t, single("one", "two"))
		f.run(stage.Steering{}, "gw/one", "gw/two")
		if err := os.WriteFile(filepath.Join(f.opts.StateDir, "machines", "gw.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		f.run(stage.Steering{})
		f.wantLog("gw", "one two")
	}
	f := newFixture(t, single("one"))
	f.run(stage.Steering{}, "gw/one")
	if err := os.WriteFile(filepath.Join(f.opts.StateDir, "machines", "gw.json"), []byte(`{"Version":99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.lab().Run(context.Background(), stage.Steering{}); !errors.Is(err, stage.ErrNotSupported) {
		t.Errorf("state of a newer program: %v", err)
	}
}

// TestMachineDiesInTheMiddle: the error says so, also where it quotes a whole script, of which
// only what came of it is said.
func TestMachineDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"connection lost":  "connection lost (the machine is no longer running)\n",
		"sh -c 'one\ntwo'": "exit status 4 (the machine is no longer running)\n",
	} {
		f := newFixture(t, single("one", "two"))
		f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"crash"}}
		f.machines["gw"].Handle("crash", func(context.Context, *stagetest.Proc) error {
			f.machines["gw"].Die()
			if !strings.Contains(text, "\n") {
				return errors.New(text)
			}
			return fmt.Errorf("%s: %w", text, stagetest.ExitError(4))
		})
		_, err := f.lab().Run(context.Background(), stage.Steering{})
		if err == nil || !strings.HasPrefix(err.Error(), `gw/two: step "crash": `+want) {
			t.Errorf("error %v, want %q", err, want)
		}
		f.plan = single("one", "two")
		f.run(stage.Steering{}, "gw/two")
		f.wantLog("gw", "one two")
	}
}

// halfway is a machine whose first start fails and leaves it running.
type halfway struct {
	*stagetest.Machine
	failed bool
}

func (h *halfway) Start(ctx context.Context) error {
	err := h.Machine.Start(ctx)
	if !h.failed {
		h.failed, err = true, errInjected
	}
	return err
}

// TestStartFailsHalfway: a machine that is there, and was never ready, is not taken for one
// that was started.
func TestStartFailsHalfway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, single("one"))
	f.run(stage.Steering{}, "gw/one")
	if err := f.lab().PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	opts := f.opts
	opts.Targets = map[string]stage.Target{"gw": {Machine: &halfway{Machine: f.machines["gw"]}, Volume: f.volumes["gw"]}}
	lab, err := stage.Open(f.plan, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(ctx, stage.Steering{}); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	if _, err := lab.Run(ctx, stage.Steering{}); err != nil {
		t.Fatal(err)
	}
	if boots := f.machines["gw"].Boots(); boots != 3 {
		t.Errorf("%d boots: it was not started again", boots)
	}
}

func TestStepTimeout(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{command{"sleep", "60"}}
	f.plan.Setups[0].Stages[0].Timeout = 20 * time.Millisecond
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "time-out of 20ms") {
		t.Errorf("error %v", err)
	}
}

func TestFailurePolicies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy stage.Policy
		log    string
		up     bool
		shells int
	}{
		{stage.PolicyKeep, "one half", true, 0},
		{stage.PolicyStop, "one half", false, 0},
		{stage.PolicyShell, "one half", false, 1},
		{stage.PolicyRollback, "one", true, 0},
	} {
		f := newFixture(t, single("one", "two"))
		f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("half"), command{"false"}}
		shells := 0
		f.opts.OnFailure, f.opts.KeepFailed = tt.policy, true
		f.opts.Shell = func(context.Context, string) error { shells++; return nil }
		if _, err := f.lab().Run(context.Background(), stage.Steering{}); err == nil {
			t.Fatal("no error")
		}
		up, _ := f.machines["gw"].Running(context.Background())
		if up != tt.up || shells != tt.shells {
			t.Errorf("policy %v: running %v, %d shells", tt.policy, up, shells)
		}
		f.wantLog("gw", tt.log)
		changes, err := f.volumes["gw"].Diff(context.Background(), "failed-two", "")
		if err != nil || (len(changes) > 0) != (tt.policy == stage.PolicyRollback) {
			t.Errorf("policy %v: failed tree differs in %v, error %v", tt.policy, changes, err)
		}
	}
}

func TestRollbackAfterForcedStages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	f.opts.OnFailure = stage.PolicyRollback
	f.machines["gw"].Handle("append", func(_ context.Context, p *stagetest.Proc) error {
		if p.Args[2] == "three" {
			return stagetest.ExitError(1)
		}
		return p.Root.WriteFile("log", []byte("new "+p.Args[2]), 0o644)
	})
	if _, err := f.lab().Run(context.Background(), stage.Steering{From: "one"}); err == nil {
		t.Fatal("no error")
	}
	f.wantLog("gw", "new two") // the last completed stage of this run, not of the one before
}
