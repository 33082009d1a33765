package nspawntest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// testBrokenInit is a PID 1 that crashes, and one that does nothing any more.
func testBrokenInit(t *testing.T, s *suite) {
	crashed := s.boot(t, nspawn.Config{Name: s.name("crashed")})
	if err := unix.Kill(crashed.Leader(), unix.SIGSEGV); err != nil {
		t.Fatal(err)
	}
	if status, err := crashed.Wait(testContext(t)); err != nil || status.Code == 0 || status.Forced != "" {
		t.Errorf("crashed: %+v, %v", status, err)
	}
	if err := crashed.Command(testContext(t), "true").Run(); !errors.Is(err, nspawn.ErrNotRunning) {
		t.Errorf("Command after the crash: %v", err)
	}
	hung := s.boot(t, nspawn.Config{
		Name: s.name("hung"), Root: crashed.Root(), Stop: nspawn.StopTimeouts{Poweroff: 50 * time.Millisecond, Terminate: 5 * time.Second},
	})
	if err := unix.Kill(hung.Leader(), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := hung.Stop(testContext(t)); err != nil {
		t.Error(err)
	}
	if status, err := hung.Wait(testContext(t)); err != nil || status.Forced == "" {
		t.Errorf("hung: %+v, %v", status, err)
	}
}

// testStartFailureShowsConsole has an init that Check sees and the kernel cannot run.
func testStartFailureShowsConsole(t *testing.T, s *suite) {
	if failed := failToStart(t, s, "broken", "not a program"); !strings.Contains(strings.Join(failed.Console, "\n"), "xec") {
		t.Errorf("error: %v", failed)
	}
}

// testInitGivesUp has an init that ends as systemd does where it cannot go on.
func testInitGivesUp(t *testing.T, s *suite) {
	failed := failToStart(t, s, "gives-up", "#!/bin/sh\necho I give up\nexit 255\n")
	if !strings.Contains(strings.Join(failed.Console, "\n"), "I give up") {
		t.Errorf("error: %v", failed)
	}
	for _, f := range nspawn.Preflight(testContext(t)) {
		if few := errors.Is(f.Err, nspawn.ErrNotSupported); f.Topic == "inotify instances" && few != strings.Contains(failed.Hint, f.Remedy) {
			t.Errorf("%v; the hint: %q", f, failed.Hint)
		}
	}
}

// failToStart boots a root with another init until that has ended.
func failToStart(t *testing.T, s *suite, name, init string) (failed *nspawn.Error) {
	t.Helper()
	root := s.root(t)
	for _, path := range []string{"usr/lib/systemd/systemd", "usr/sbin/init"} {
		os.Remove(filepath.Join(root, path))
		if err := os.WriteFile(filepath.Join(root, path), []byte(init), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m, err := s.host.Start(testContext(t), nspawn.Config{Name: s.name(name), Root: root})
	if err == nil {
		err = m.WaitReady(testContext(t))
	}
	if !errors.As(err, &failed) {
		t.Fatalf("error: %v", err)
	}
	return failed
}
