package nspawn_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// play is what the program to be killed does: start a machine, say so, and hang; or
// go on to reboot it, run a command in it and stop it.
func play(name string) error {
	ctx := context.Background()
	host, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: os.Getenv("NSPAWN_TEST_STATE")})
	if err != nil {
		return err
	}
	fmt.Println("open")
	m, err := host.Start(ctx, nspawn.Config{Name: name, Root: os.Getenv("NSPAWN_TEST_MACHINE"), SuppressSync: true})
	if err != nil {
		return err
	}
	fmt.Println("started")
	if err := m.WaitReady(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	if os.Getenv("NSPAWN_TEST_GO_ON") == "" {
		select {}
	}
	if err := m.Reboot(ctx); err != nil {
		return err
	}
	_ = m.Command(ctx, "sleep", "0.1").Run()
	return m.Stop(ctx)
}

// killedProgram runs the role until it has said a word, waits a while more, and
// kills it.
func killedProgram(t *testing.T, name, state, root, until string, later time.Duration, env ...string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(env, append(os.Environ(), "NSPAWN_TEST_ROLE="+name, "NSPAWN_TEST_STATE="+state, "NSPAWN_TEST_MACHINE="+root)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != until; {
	}
	time.Sleep(later)
	cmd.Process.Kill()
	cmd.Wait()
}

func TestFoundAfterSIGKILL(t *testing.T) {
	t.Parallel()
	privileged(t)
	state, root := nspawntest.StateDir(t), newRoot(t)
	killedProgram(t, "orphan", state, root, "ready", 0)
	events := newEventLog()
	host := openHost(t, nspawn.HostOptions{StateDir: state, Events: events.tell})
	ctx := testContext(t)

	if swept, err := host.Sweep(ctx); err != nil || len(swept) != 0 {
		t.Errorf("Sweep of a machine that runs: %v, %v", swept, err)
	}
	if _, err := host.Start(ctx, nspawn.Config{Name: "orphan", Root: newRoot(t)}); !errors.Is(err, nspawn.ErrExists) {
		t.Errorf("Start of the same name: %v", err)
	}
	if _, err := host.Start(ctx, nspawn.Config{Name: "other", Root: root}); !errors.Is(err, nspawn.ErrBusy) {
		t.Errorf("Start on the same root: %v", err)
	}
	var found []*nspawn.Machine
	for m, err := range host.Machines(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, m)
	}
	if len(found) != 1 || found[0].Name() != "orphan" || found[0].Root() != root {
		t.Fatalf("found %v", found)
	}
	m := found[0]
	if err := m.WaitReady(ctx); err != nil {
		t.Error(err)
	}
	if got := shell(t, m, "echo hello"); got != "hello" {
		t.Errorf("Command: %q", got)
	}
	_ = m.Command(ctx, "systemctl", "reboot").Run()
	events.await(t, nspawn.EventRebooted)
	events.await(t, nspawn.EventStarted)
	if err := m.WaitReady(ctx); err != nil {
		t.Errorf("after its reboot: %v", err)
	}
	if err := m.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// TestKilledAtAnyTime kills the program at many instants of a machine's life: in its
// start, its reboot, a command and its end. The next program finds the machine
// running or nothing, and can start it.
func TestKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	privileged(t)
	state, root := nspawntest.StateDir(t), newRoot(t)
	killed := 0
	for until, moments := range map[string][]time.Duration{
		"open":  {0, 1, 2, 4, 8, 16, 32, 64, 128},
		"ready": {0, 10, 50, 100, 150, 200, 300, 400, 500, 600, 700, 800},
	} {
		for _, later := range moments {
			later *= time.Millisecond
			killedProgram(t, "foundling", state, root, until, later, "NSPAWN_TEST_GO_ON=yes")
			killed++
			if err := endFoundling(t, state, root); err != nil {
				t.Errorf("%v after %s: %v", later, until, err)
			}
		}
	}
	host := openHost(t, nspawn.HostOptions{StateDir: state})
	if swept, err := host.Sweep(testContext(t)); err != nil || len(swept) != 0 {
		t.Errorf("left in the end: %v, %v", swept, err)
	}
	t.Logf("tally: nspawn, killed in a machine's life: %d", killed)
}

// endFoundling ends the machine that a killed program may have left.
func endFoundling(t *testing.T, state, root string) error {
	ctx := testContext(t)
	host, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: state})
	if err != nil {
		return err
	}
	defer host.Close()
	m, err := host.Find(ctx, "foundling")
	if errors.Is(err, nspawn.ErrNotFound) {
		m, err = host.Start(ctx, nspawn.Config{Name: "foundling", Root: root, SuppressSync: true})
	}
	if err != nil {
		return err
	}
	return m.Kill(ctx)
}

func TestNspawnKilled(t *testing.T) {
	t.Parallel()
	host := openHost(t, nspawn.HostOptions{})
	ctx := testContext(t)
	layers := t.TempDir()
	overlay := nspawn.Overlay{Layers: []string{filepath.Join(layers, "lower"), filepath.Join(layers, "upper")}, Target: "/srv"}
	for _, dir := range overlay.Layers {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := boot(t, host, nspawn.Config{Name: "headless", Overlays: []nspawn.Overlay{overlay}})
	shell(t, m, "echo changed >/srv/file")
	if err := syscall.Kill(parentOf(t, m.Leader()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	status, err := m.Wait(ctx)
	if err != nil || status.Signal == 0 {
		t.Errorf("Wait: %+v, %v", status, err)
	}
	if left, err := os.ReadDir(layers); err != nil || len(left) != 2 {
		t.Errorf("beside the overlay's layers: %v, %v", left, err)
	}
	if data, err := os.ReadFile(filepath.Join(layers, "upper", "file")); err != nil || string(data) != "changed\n" {
		t.Errorf("the upper layer: %q, %v", data, err)
	}
	again := boot(t, host, nspawn.Config{Name: "headless", Root: m.Root()})
	shell(t, again, "true")
	entries, err := os.ReadDir(filepath.Dir(m.Root()))
	if err != nil {
		t.Fatal(err)
	}
	again.Stop(ctx)
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".lck" {
			if _, err := os.Lstat(filepath.Join(filepath.Dir(m.Root()), entry.Name())); err == nil {
				t.Errorf("%s is left beside the root", entry.Name())
			}
		}
	}
}

// parentOf is the process that waits for a machine's first one: its nspawn.
func parentOf(t *testing.T, pid int) (parent int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "PPid: %d", &parent); n == 1 {
			return parent
		}
	}
	t.Fatalf("process %d has no parent", pid)
	return 0
}
