package nspawn_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testexec"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// TestFindWhileStarting looks for a machine that another goroutine is starting: what
// is found can be used, or there is none.
func TestFindWhileStarting(t *testing.T) {
	privileged(t)
	fifo := hangingNspawn(t, "")
	host := openHost(t, nspawn.HostOptions{Launcher: nspawn.LauncherDirect})
	root := emptyRoot(t)
	ctx, cancel := context.WithCancel(testContext(t))
	started := make(chan error)
	go func() {
		_, err := host.Start(ctx, nspawn.Config{Name: "hangs", Root: root})
		started <- err
	}()
	if _, err := os.ReadFile(fifo); err != nil { // it runs
		t.Fatal(err)
	}
	impatient, giveUp := context.WithCancel(testContext(t))
	giveUp()
	if m, err := host.Find(impatient, "hangs"); !errors.Is(err, context.Canceled) {
		t.Errorf("found %v, %v", m, err)
	}
	found := make(chan error)
	go func() {
		_, err := host.Find(testContext(t), "hangs")
		found <- err
	}()
	cancel()
	if err := <-started; !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
	if err := <-found; !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("find when it was not started: %v", err)
	}
}

// TestScratchOfAnEarlyEnd gives a machine up that nspawn has made a directory for and
// has not begun.
func TestScratchOfAnEarlyEnd(t *testing.T) {
	privileged(t)
	const scratch = "/var/tmp/nspawn-temp-EarLy1"
	fifo := hangingNspawn(t, "mkdir -p "+scratch+"/src && mount --bind "+scratch+"/src /mnt || exit")
	defer os.RemoveAll(scratch)
	host := openHost(t, nspawn.HostOptions{Launcher: nspawn.LauncherDirect})
	root := emptyRoot(t)
	ctx, cancel := context.WithCancel(testContext(t))
	started := make(chan error)
	go func() {
		_, err := host.Start(ctx, nspawn.Config{Name: "early", Root: root, Binds: []nspawn.Bind{{Target: "/scratch"}}})
		started <- err
	}()
	if _, err := os.ReadFile(fifo); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-started; !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
	if _, err := os.Lstat(scratch); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", scratch, err)
	}
}

// TestUnreadableRecord leaves a machine alone whose record cannot be read just now.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	state := nspawntest.StateDir(t)
	host := openHost(t, nspawn.HostOptions{StateDir: state})
	record := filepath.Join(state, "machines/unread/record")
	if err := os.MkdirAll(record, 0o700); err != nil {
		t.Fatal(err)
	}
	if swept, err := host.Sweep(testContext(t)); !errors.Is(err, unix.EISDIR) || len(swept) > 0 {
		t.Errorf("Sweep: %q, %v", swept, err)
	}
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if swept, err := host.Sweep(testContext(t)); err != nil || len(swept) != 1 {
		t.Errorf("Sweep without a record: %q, %v", swept, err)
	}
}

// TestCloseWhileStarting closes the Host of a machine that has not begun: Start says
// so, and nothing is left of it.
func TestCloseWhileStarting(t *testing.T) {
	privileged(t)
	fifo := hangingNspawn(t, "")
	options := nspawn.HostOptions{StateDir: nspawntest.StateDir(t), Launcher: nspawn.LauncherDirect}
	host, err := nspawn.Open(testContext(t), options)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	root := emptyRoot(t)
	go func() {
		_, err := host.Start(testContext(t), nspawn.Config{Name: "hangs", Root: root})
		started <- err
	}()
	if _, err := os.ReadFile(fifo); err != nil { // it runs
		t.Fatal(err)
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if err := <-started; !errors.Is(err, nspawn.ErrClosed) {
		t.Errorf("start: %v", err)
	}
	for _, left := range []string{options.StateDir, host.Cgroup()} {
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", left, err)
		}
	}
}

// emptyRoot is one that Check takes for a system.
func emptyRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	init := filepath.Join(root, "usr/lib/systemd/systemd")
	if err := errors.Join(os.MkdirAll(filepath.Dir(init), 0o755), os.WriteFile(init, nil, 0o755)); err != nil {
		t.Fatal(err)
	}
	return root
}

// hangingNspawn puts a systemd-nspawn before the real one that, when it is to start a
// machine, runs a script, writes to a fifo, and does nothing else.
func hangingNspawn(t *testing.T, do string) (fifo string) {
	t.Helper()
	real, err := exec.LookPath("systemd-nspawn")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fifo = filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != --version ] || exec %s --version\n%s\necho >%s\nexec sleep infinity\n", real, do, fifo)
	testexec.Write(t, filepath.Join(dir, "systemd-nspawn"), []byte(script))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return fifo
}
