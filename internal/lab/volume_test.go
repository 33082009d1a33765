package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

// newStore returns a lab with storage and nothing else, and the snapshot of its base.
func newStore(t *testing.T) (*Lab, snapshot.Snapshot) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot keep snapshots")
	}
	store, err := snapshot.Open(t.Context(), t.TempDir(), snapshot.Options{Driver: snapshot.Copy()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l := &Lab{Config: Config{Zone: "test"}, store: store}
	l.Store = store.Dir()
	return l, newBase(t, l, baseVolume, "base-key")
}

// newBase makes a volume that looks like a root.
func newBase(t *testing.T, l *Lab, name, key string) snapshot.Snapshot {
	t.Helper()
	v, err := l.store.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(v.Path(), "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"os-release": "ID=test\n", "shadow": "root:*:20000::::::\n"} {
		if err := os.WriteFile(filepath.Join(v.Path(), "etc", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := v.Snapshot(t.Context(), baseSnapshot, snapshot.Metadata{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVolumeConforms(t *testing.T) {
	t.Parallel()
	stagetest.TestVolume(t, func(t *testing.T) (stage.Volume, func() string) {
		l, base := newStore(t)
		v := &volume{Machine: &Machine{Name: "one"}, lab: l, base: base}
		if err := v.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		return v, func() string { return filepath.Join(l.StoreDir(), "one") }
	})
}

// idle is a machine that nothing runs in.
type idle struct{ up bool }

func (m *idle) Start(context.Context) error               { m.up = true; return nil }
func (m *idle) Stop(context.Context) error                { m.up = false; return nil }
func (m *idle) Running(context.Context) (bool, error)     { return m.up, nil }
func (m *idle) Exec(context.Context, stage.Command) error { return nil }

// TestBaseChanges: what was built on the old base stays until a stage succeeds on the
// new one.
func TestBaseChanges(t *testing.T) {
	t.Parallel()
	l, base := newStore(t)
	var said bytes.Buffer
	l.Out = &said
	var fails error
	v, m := &volume{Machine: &Machine{Name: "one"}, lab: l, base: base}, &idle{}
	state := t.TempDir()
	run := func() {
		t.Helper()
		first := step.Func{Name: "first", Version: "1", Do: func(context.Context, *stage.Session) error { return fails }}
		plan := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "one", Base: v.base.Key, Stages: []stage.Stage{{Name: "first", Steps: []stage.Step{first}}}}}}
		stages, err := stage.Open(plan, stage.Options{StateDir: state, KeepFailed: true, Targets: map[string]stage.Target{"one": {Machine: m, Volume: v}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stages.Run(t.Context(), stage.Steering{}); !errors.Is(err, fails) {
			t.Fatal(err)
		}
	}
	kept := func(want int) {
		t.Helper()
		saved, err := v.saved(t.Context(), "one"+beforeSuffix)
		if err != nil || len(saved) != want {
			t.Errorf("%d snapshots of the old base are kept, want %d (%v)", len(saved), want, err)
		}
	}
	run()
	v.base, fails = newBase(t, l, "other", "other-key"), errors.New("no such luck")
	for range 2 {
		run()
		kept(2) // that of the base itself, too
	}
	if !strings.Contains(said.String(), "one: its base changed") {
		t.Errorf("it is not said: %q", said.String())
	}
	fails = nil
	run()
	kept(0)
}

// TestPasswordByPipe: what can be read once is for all machines.
func TestPasswordByPipe(t *testing.T) {
	t.Parallel()
	l, base := newStore(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := write.WriteString("101010\n"); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	l.PasswordFile = fmt.Sprintf("/proc/self/fd/%d", read.Fd())
	if err := l.readPassword(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		v := &volume{Machine: &Machine{Name: name}, lab: l, base: base}
		if err := v.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
		shadow, err := os.ReadFile(filepath.Join(l.StoreDir(), name, "etc/shadow"))
		if err != nil || !strings.HasPrefix(string(shadow), "root:$6$") {
			t.Errorf("%s has %q in its shadow (%v)", name, shadow, err)
		}
	}
}

// TestNoPassword: an empty file sets none, and that is said.
func TestNoPassword(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	l := &Lab{Options: Options{PasswordFile: os.DevNull, Out: &said}}
	if err := l.readPassword(t.Context()); err != nil || !strings.Contains(said.String(), "is empty: none is set") {
		t.Errorf("%v; it said %q", err, said.String())
	}
}

func TestDiffOfVolume(t *testing.T) {
	t.Parallel()
	l, base := newStore(t)
	ctx := context.Background()
	v := &volume{Machine: &Machine{Name: "one"}, lab: l, base: base}
	if err := v.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := v.Save(ctx, stage.Saved{Name: "before"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.StoreDir(), "one/etc/new"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	changes, err := v.Diff(ctx, "before", "")
	if err != nil || len(changes) != 1 || changes[0] != (stage.FileChange{Path: "/etc/new", Kind: stage.Added}) {
		t.Errorf("changes %v, %v", changes, err)
	}
}

func TestResolveStaysInTheTree(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	for _, dir := range []string{"export/real", "etc"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"export/link": "real", "out": "/../../etc", "absolute": "/export/real"} {
		if err := os.Symlink(target, filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/export/real": "export/real", "/export/link": "export/real", "/absolute": "export/real", "/out": "etc", "/../export/real": "export/real",
	} {
		if got, err := resolve(tree, path); err != nil || got != filepath.Join(tree, want) {
			t.Errorf("%s leads to %s, %v; want %s in the tree", path, got, err, want)
		}
	}
	if got, err := resolve(tree, "/missing"); err == nil {
		t.Errorf("/missing leads to %s", got)
	}
}
