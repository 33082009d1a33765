package stagetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

// patience is how long a conformance test waits for what should be at once.
const patience = 20 * time.Second

// TestMachine checks that machines keep the promises of [stage.Machine], and of
// [stage.Freezer], [stage.Killer] and [stage.Binder] if they are that. Each call of open returns a
// machine that is off and has sh, cat, env, sleep and touch. What open leaves to be
// done it does by t.Cleanup.
func TestMachine(t *testing.T, open func(t *testing.T) stage.Machine) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*patience)
	defer cancel()
	t.Run("starts and stops", func(t *testing.T) { startsAndStops(ctx, t, open(t)) })
	t.Run("binds", func(t *testing.T) { binds(ctx, t, open(t)) })
	m := open(t)
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Run("runs commands", func(t *testing.T) { runsCommands(ctx, t, m) })
	t.Run("adds to the environment", func(t *testing.T) { addsToEnvironment(ctx, t, m) })
	t.Run("kills with children", func(t *testing.T) { killsWithChildren(ctx, t, m) })
	t.Run("runs commands side by side", func(t *testing.T) { runsSideBySide(ctx, t, m) })
	t.Run("freezes", func(t *testing.T) { freezes(ctx, t, m) })
}

func startsAndStops(ctx context.Context, t *testing.T, m stage.Machine) {
	running := func(want bool) {
		t.Helper()
		if got, err := m.Running(ctx); err != nil || got != want {
			t.Fatalf("running: %v, %v; want %v", got, err, want)
		}
	}
	running(false)
	if err := m.Stop(ctx); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
	halts := []func(context.Context) error{m.Stop}
	if k, ok := m.(stage.Killer); ok {
		halts = append(halts, k.Kill)
	}
	for _, halt := range halts {
		// The machine outlives the context of its start.
		starting, cancel := context.WithCancel(ctx)
		err := m.Start(starting)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		running(true)
		if err := m.Exec(ctx, stage.Command{Args: []string{"true"}}); err != nil {
			t.Errorf("right after the start: %v", err)
		}
		if err := halt(ctx); err != nil {
			t.Fatal(err)
		}
		running(false)
		if err := m.Exec(ctx, stage.Command{Args: []string{"true"}}); err == nil {
			t.Error("a command ran in a machine that is off")
		}
	}
}

func binds(ctx context.Context, t *testing.T, m stage.Machine) {
	b, ok := m.(stage.Binder)
	if !ok {
		t.Skip("the machine is no Binder")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("of the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	boot := func(binds ...stage.Bind) {
		t.Helper()
		b.SetBinds(binds)
		if err := m.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want := func(command, want string) {
		t.Helper()
		got, err := output(ctx, m, stage.Command{Args: []string{"sh", "-c", command + " 2>/dev/null || echo no"}})
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", command, got, err, want)
		}
	}
	boot(stage.Bind{From: dir, To: "/mnt/seen"}, stage.Bind{From: filepath.Join(dir, "file"), To: "/mnt/one", ReadOnly: true})
	want("cat /mnt/seen/file", "of the host")
	want("cat /mnt/one", "of the host")
	want("(echo x >/mnt/one)", "no\n")
	want("touch /mnt/seen/new", "")
	if _, err := os.Stat(filepath.Join(dir, "new")); err != nil {
		t.Errorf("what the machine made: %v", err)
	}
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	boot()
	want("cat /mnt/seen/file", "no\n")
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}
