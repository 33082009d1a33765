package nspawn_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// TestMain lets the test binary stand in for a program that is killed.
func TestMain(m *testing.M) {
	if role := os.Getenv("NSPAWN_TEST_ROLE"); role != "" {
		perform := func() error { return play(role) }
		if role == shellRole {
			perform = playShell
		}
		if err := perform(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// testContext ends before the test's own deadline does.
func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// privileged skips where machines cannot be started.
func privileged(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("starting machines needs root")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("systemd-nspawn is not installed: systemd-container (Debian), systemd (Arch)")
	}
}

// openHost opens a host with a state directory of its own and asserts in the
// end that nothing is left in it.
func openHost(t testing.TB, options nspawn.HostOptions) *nspawn.Host {
	t.Helper()
	privileged(t)
	if options.StateDir == "" {
		options.StateDir = nspawntest.StateDir(t)
	}
	if testing.Verbose() && options.Logger == nil {
		options.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	options.StopOnClose = true
	host, err := nspawn.Open(testContext(t), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if _, err := os.Stat(options.StateDir); err == nil {
			out, _ := exec.Command("find", options.StateDir).Output()
			t.Errorf("the state directory is left:\n%s", out)
		}
		if _, err := os.Stat(host.Cgroup()); err == nil {
			t.Errorf("control group %s is left", host.Cgroup())
		}
	})
	return host
}

// start starts a machine that is stopped in the end.
func start(t testing.TB, host *nspawn.Host, config nspawn.Config) *nspawn.Machine {
	t.Helper()
	m, err := host.Start(testContext(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console of %s:\n%s", m.Name(), strings.Join(m.Console(40), "\n"))
		}
		if err := m.Stop(testContext(t)); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return m
}

// boot starts a machine on a throw-away root and waits until it is ready.
func boot(t testing.TB, host *nspawn.Host, config nspawn.Config) *nspawn.Machine {
	t.Helper()
	if config.Name == "" {
		config.Name = "t" + fmt.Sprint(os.Getpid())
	}
	if config.Root == "" {
		config.Root = newRoot(t)
	}
	config.SuppressSync = true
	m := start(t, host, config)
	if err := m.WaitReady(testContext(t)); err != nil {
		t.Fatal(err)
	}
	return m
}

// shell runs a script in the machine and returns what it printed.
func shell(t testing.TB, m *nspawn.Machine, script string) string {
	t.Helper()
	out, err := m.Command(testContext(t), "sh", "-c", script).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
