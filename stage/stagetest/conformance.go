package stagetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

// patience is how long a conformance test waits for what should be at once.
const patience = 20 * time.Second

// TestVolume checks that volumes keep the promises of [stage.Volume]. Each call of open
// returns a new volume without snapshots and a function that returns the path of its
// tree.
func TestVolume(t *testing.T, open func(t *testing.T) (v stage.Volume, tree func() string)) {
	ctx := context.Background()
	write := func(t *testing.T, tree func() string, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(tree(), "file"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := func(t *testing.T, tree func() string, text string) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(tree(), "file"))
		if err != nil || string(got) != text {
			t.Fatalf("the tree has %q, %v; want %q", got, err, text)
		}
	}
	save := func(t *testing.T, v stage.Volume, name, key string) {
		t.Helper()
		if err := v.Save(ctx, stage.Saved{Name: name, Key: key}); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("saves and restores", func(t *testing.T) {
		v, tree := open(t)
		for _, text := range []string{"one", "two", "three"} {
			write(t, tree, text)
			save(t, v, "s-"+text, "key-"+text)
		}
		for _, text := range []string{"one", "three", "two", "two"} {
			write(t, tree, "something else")
			if err := v.Restore(ctx, "s-"+text); err != nil {
				t.Fatal(err)
			}
			want(t, tree, text)
		}
	})
	t.Run("lists in order", func(t *testing.T) {
		v, tree := open(t)
		write(t, tree, "x")
		names := []string{"b-1", "a.2", "c_3"}
		for _, name := range names {
			save(t, v, name, "key of "+name)
		}
		saved, err := v.Saved(ctx)
		if err != nil || len(saved) != len(names) {
			t.Fatalf("%+v, %v", saved, err)
		}
		for i, s := range saved {
			if s.Name != names[i] || s.Key != "key of "+names[i] || s.Time.IsZero() {
				t.Errorf("element %d is %+v", i, s)
			}
		}
	})
	t.Run("keeps snapshots from the tree", func(t *testing.T) {
		v, tree := open(t)
		write(t, tree, "old")
		save(t, v, "s", "")
		write(t, tree, "new")
		want(t, tree, "new")
		if err := v.Restore(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		write(t, tree, "newer")
		if err := v.Restore(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		want(t, tree, "old")
	})
	t.Run("refuses wrong names", func(t *testing.T) {
		v, tree := open(t)
		write(t, tree, "x")
		save(t, v, "s", "")
		if err := v.Save(ctx, stage.Saved{Name: "s"}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("saving under a name in use: %v", err)
		}
		if err := v.Restore(ctx, "t"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("restoring what is not there: %v", err)
		}
		want(t, tree, "x")
		if err := v.Remove(ctx, "t"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("removing what is not there: %v", err)
		}
	})
	t.Run("removes", func(t *testing.T) {
		v, tree := open(t)
		write(t, tree, "x")
		save(t, v, "s", "k")
		save(t, v, "t", "k")
		if err := v.Remove(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		saved, err := v.Saved(ctx)
		if err != nil || len(saved) != 1 || saved[0].Name != "t" {
			t.Errorf("left: %+v, %v", saved, err)
		}
		if err := v.Restore(ctx, "t"); err != nil {
			t.Error(err)
		}
	})
}

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
	t.Run("adds to the environment", func(t *testing.T) {
		out, err := output(ctx, m, stage.Command{Args: []string{"sh", "-c", `echo "$A in $PWD"; cat /dev/null`}, Env: []string{"A=b c"}, Dir: "/usr"})
		if err != nil || out != "b c in /usr\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("kills with children", func(t *testing.T) { killsWithChildren(ctx, t, m) })
	t.Run("runs commands side by side", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := output(ctx, m, stage.Command{Args: []string{"sleep", "0.1"}}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("freezes", func(t *testing.T) { freezes(ctx, t, m) })
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

func output(ctx context.Context, m stage.Machine, c stage.Command) (string, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := m.Exec(ctx, c)
	return out.String(), err
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

func runsCommands(ctx context.Context, t *testing.T, m stage.Machine) {
	for _, code := range []string{"0", "1", "3", "255"} {
		err := m.Exec(ctx, stage.Command{Args: []string{"sh", "-c", "exit " + code}})
		if code == "0" && err != nil || code != "0" && stage.ExitCode(err) < 1 {
			t.Errorf("exit %s: %v", code, err)
		}
	}
	if err := m.Exec(ctx, stage.Command{Args: []string{"/no/such/program"}}); err == nil {
		t.Error("a missing program: no error")
	}
	var stdout, stderr bytes.Buffer
	args := []string{"sh", "-c", `cat; echo "$1" >&2`, "name", "$HOME 'x'\n\""}
	data := strings.Repeat("\x00\xff binary\n", 50_000)
	err := m.Exec(ctx, stage.Command{Args: args, Stdin: strings.NewReader(data), Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	if stdout.String() != data {
		t.Errorf("%d bytes came back of %d", stdout.Len(), len(data))
	}
	if want := args[4] + "\n"; stderr.String() != want {
		t.Errorf("standard error %q, want %q", stderr.String(), want)
	}
}

func killsWithChildren(ctx context.Context, t *testing.T, m stage.Machine) {
	ctx, cancel := context.WithCancel(ctx)
	started := make(chan bool)
	done := make(chan error, 1)
	go func() {
		// The child keeps the output open after its parent's death.
		done <- m.Exec(ctx, stage.Command{Args: []string{"sh", "-c", "sleep 1000 & echo started; wait"}, Stdout: notify{started}})
	}()
	select {
	case <-started:
	case err := <-done:
		t.Fatalf("it ended: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a killed command has no error")
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// notify is a Writer that tells of its first use.
type notify struct{ c chan bool }

func (n notify) Write(p []byte) (int, error) {
	close(n.c)
	return len(p), nil
}

func freezes(ctx context.Context, t *testing.T, m stage.Machine) {
	f, ok := m.(stage.Freezer)
	if !ok {
		t.Skip("the machine is no Freezer")
	}
	// A command that goes on all the time must write nothing while frozen.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	count := new(counter)
	done := make(chan bool)
	go func() {
		defer close(done)
		// The end of ctx kills it, which is no failure here.
		_ = m.Exec(ctx, stage.Command{Args: []string{"sh", "-c", "while :; do echo x; sleep 0.01; done"}, Stdout: count})
	}()
	moves := func() bool {
		before := count.value()
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
			if count.value() > before {
				return true
			}
			<-time.After(5 * time.Millisecond)
		}
		return false
	}
	if !moves() {
		t.Fatal("the command does not run")
	}
	for range 2 {
		if err := f.Freeze(ctx); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(50 * time.Millisecond) // what is in the pipe still comes
	if moves() {
		t.Error("a command goes on in a frozen machine")
	}
	for range 2 {
		if err := f.Thaw(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !moves() {
		t.Error("it does not go on after the thaw")
	}
	cancel()
	<-done
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	return len(p), nil
}

func (c *counter) value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
