package stage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

func TestInputs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tree", "conf")
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	t.Setenv("STAGE_TEST", "1")
	f := newFixture(t, single("one", "two"))
	f.plan.Setups[0].Stages[1].Inputs = []stage.Input{
		{File: filepath.Dir(file)}, {Env: "STAGE_TEST"}, {Name: "release", Value: "12"},
	}
	f.run(stage.Steering{}, "gw/one", "gw/two")
	files := "file " + filepath.Dir(file) + " changed ("
	for _, tt := range []struct {
		name, want string
		change     func()
		why        string
	}{
		{"content", "file " + filepath.Dir(file) + " changed:", func() { write("b") }, files + "conf)"},
		{"mode", "file " + filepath.Dir(file) + " changed:", func() { os.Chmod(file, 0o600) }, files + "conf)"},
		{"new file", "conf2", func() { os.WriteFile(file+"2", nil, 0o644) }, files + "conf2)"},
		{"several", "conf2", func() { os.Remove(file + "2"); write("c") }, files + "conf and 1 more)"},
		{"environment", `environment STAGE_TEST changed from "=1" to "=2"`, func() { os.Setenv("STAGE_TEST", "2") }, "environment STAGE_TEST changed"},
		{"no environment", `environment STAGE_TEST changed from "=2" to "(not set)"`, func() { os.Unsetenv("STAGE_TEST") }, "environment STAGE_TEST changed"},
		{"value", `value release changed from "12" to "13"`, func() { f.plan.Setups[0].Stages[1].Inputs[2].Value = "13" }, "value release changed"},
	} {
		tt.change()
		changes, err := f.lab().Explain(context.Background(), "two")
		if err != nil || len(changes) != 1 || !strings.Contains(changes[0].String(), tt.want) {
			t.Errorf("%s: changes %v, error %v; want %q", tt.name, changes, err, tt.want)
		}
		f.run(stage.Steering{}, "gw/two")
		if why := f.kinds(stage.EventStageStarted)[0].Why; why != tt.why {
			t.Errorf("%s: it ran because %q, want %q", tt.name, why, tt.why)
		}
		if changes, err := f.lab().Explain(context.Background(), "two"); err != nil || changes != nil {
			t.Errorf("%s: after the run: changes %v, error %v", tt.name, changes, err)
		}
	}
	// Touching a file changes nothing.
	if err := os.Chtimes(file, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	f.run(stage.Steering{})

	t.Run("missing", func(t *testing.T) {
		boots := f.machines["gw"].Boots()
		if err := os.RemoveAll(filepath.Dir(file)); err != nil {
			t.Fatal(err)
		}
		_, err := f.lab().Run(context.Background(), stage.Steering{})
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "gw/two: read inputs") {
			t.Errorf("error %v", err)
		}
		if f.machines["gw"].Boots() != boots {
			t.Error("the machine was started")
		}
	})
	t.Run("changed by the stage's own run", func(t *testing.T) {
		write("c")
		f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"meddle"}}
		f.machines["gw"].Handle("meddle", func(context.Context, *stagetest.Proc) error {
			write("d")
			return nil
		})
		_, err := f.lab().Run(context.Background(), stage.Steering{})
		if !errors.Is(err, stage.ErrChanged) {
			t.Errorf("error %v", err)
		}
	})
}
