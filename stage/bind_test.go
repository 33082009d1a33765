package stage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/step"
)

// TestBind follows what a machine is started with, back and forth.
func TestBind(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	first := stage.Bind{From: dir, To: "/root/sadm"}
	second := stage.Bind{From: filepath.Join(dir, "file"), To: "/etc/file", ReadOnly: true}
	other := stage.Bind{From: "/dev/null", To: "/root/sadm"}
	plan := single("one", "two", "three", "four")
	plan.Setups[0].Stages[1].Steps = append(plan.Setups[0].Stages[1].Steps,
		step.Bind{From: first.From, To: first.To + "/"}, step.Bind{From: second.From, To: second.To, ReadOnly: true})
	plan.Setups[0].Stages[3].Steps = []stage.Step{step.Bind{From: other.From, To: other.To, Live: true}}
	f := newFixture(t, plan)
	bound := func(when string, want ...stage.Bind) {
		t.Helper()
		if got := f.machines["gw"].Bound(); !slices.Equal(got, want) {
			t.Errorf("%s: bound %v, want %v", when, got, want)
		}
	}
	f.run(stage.Steering{Until: "one"}, "gw/one")
	bound("before")
	f.run(stage.Steering{Until: "two"}, "gw/two")
	bound("after the stage", first, second)
	if n := f.machines["gw"].Boots(); n != 2 {
		t.Errorf("%d boots; one is enough for both binds", n)
	}
	f.run(stage.Steering{}, "gw/three", "gw/four")
	bound("with one that hides another", second, other)
	if _, err := f.lab().Checkpoint(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	for _, back := range []struct {
		to   string
		want []stage.Bind
	}{{"one", nil}, {"three", []stage.Bind{first, second}}, {"four", []stage.Bind{second, other}}, {"one", nil}} {
		if _, err := f.lab().Rollback(ctx, back.to); err != nil {
			t.Fatal(err)
		}
		bound("back to "+back.to, back.want...)
	}
	if err := f.lab().RestoreCheckpoint(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	bound("checkpoint", second, other)
	f.machines["gw"].Die()
	f.restart()
	f.run(stage.Steering{Until: "three"})
	bound("another program", first, second)

	// The content counts, unless it is live.
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("22"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.run(stage.Steering{}, "gw/two", "gw/three", "gw/four")
	f.wantLog("gw", "one two three")
}

func TestBindNeedsBinder(t *testing.T) {
	t.Parallel()
	plan := single("one")
	plan.Setups[0].Stages[0].Steps = []stage.Step{step.Bind{From: "/etc", To: "/x"}}
	f := newFixture(t, plan)
	opts := f.opts
	opts.Targets = map[string]stage.Target{"gw": {Machine: struct{ stage.Machine }{f.machines["gw"]}, Volume: f.volumes["gw"]}}
	if _, err := stage.Open(plan, opts); !errors.Is(err, stage.ErrNotSupported) || !errors.Is(err, stage.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}
