package testhost_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/internal/testhost"
)

// TestMain lets the test binary be the agent in a virtual host, and the user of one
// who is killed.
func TestMain(m *testing.M) {
	var err error
	switch module := os.Getenv("TESTHOST_VM_USER"); {
	case len(os.Args) > 1 && os.Args[1] == testhost.AgentCommand:
		err = testhost.Agent()
	case module != "":
		err = sleepIn(testhost.Config{Module: module, VM: true})
	default:
		os.Exit(m.Run())
	}
	io.WriteString(os.Stderr, err.Error())
	os.Exit(1)
}

func sleepIn(cfg testhost.Config) error {
	host, err := testhost.Acquire(context.Background(), cfg)
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", "echo asleep; exec sleep 4242")
	cmd.Stdout = os.Stdout
	return host.Run(context.Background(), cmd, nil)
}

// TestVirtual goes through the life of a virtual host, once: a boot is long.
func TestVirtual(t *testing.T) {
	cfg := config(t)
	if cfg.VM = os.Getenv("RIG_VM") != ""; !cfg.VM {
		t.Skip("boots a virtual machine: make test-vm, or RIG_VM=1")
	}
	host := acquire(t, cfg)
	t.Run("alone on cgroup v2", func(t *testing.T) {
		const script = "systemctl is-system-running; stat -f -c %T /sys/fs/cgroup; grep -cw memory /sys/fs/cgroup/cgroup.controllers"
		if out, err := output(host, "/bin/sh", "-c", script); out != "running\ncgroup2fs\n1\n" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("streams and status", func(t *testing.T) {
		var exit *testhost.ExitError
		if out, err := output(host, "/bin/sh", "-c", "cat; exit 42"); out != "sent" || !errors.As(err, &exit) || exit.Code != 42 {
			t.Errorf("%q, %v, want exit 42", out, err)
		}
		if _, err := output(host, "/bin/sh", "-c", "kill -USR1 $$"); !errors.As(err, &exit) || exit.Signal != syscall.SIGUSR1 {
			t.Errorf("SIGUSR1 came out as %v", err)
		}
		if out, err := output(host, "/bin/seq", "100000"); len(out) != 588895 || err != nil {
			t.Errorf("%d bytes of a long output, %v", len(out), err)
		}
		if _, err := output(host, "/no/such"); err == nil {
			t.Error("a program that does not exist runs")
		}
	})
	t.Run("signal", func(t *testing.T) { signalled(t, host) })
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := exec.Command("/bin/sh", "-c", "echo asleep; exec sleep 4242")
		cmd.Stdout = onWrite(cancel)
		if err := host.Run(ctx, cmd, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		nobodySleeps(t, host)
	})
	t.Run("killed user", func(t *testing.T) { killedUser(t, host, cfg) })
	t.Run("show", func(t *testing.T) {
		dir := t.TempDir()
		if err := host.Show(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := output(host, "/bin/sh", "-c", "echo hello >"+dir+"/file"); err != nil {
			t.Error(err)
		}
		if text, err := os.ReadFile(dir + "/file"); string(text) != "hello\n" || err != nil {
			t.Errorf("the file reads %q, %v", text, err)
		}
	})
	if err := host.Release(context.Background()); err != nil {
		t.Error(err)
	}
	gone(t, host.Name())
}

func signalled(t *testing.T, host *testhost.Host) {
	signals := make(chan os.Signal, 1)
	cmd := exec.Command("/bin/sh", "-c", `trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done`)
	cmd.Stdout = onWrite(func() { signals <- syscall.SIGTERM })
	var exit *testhost.ExitError
	if err := host.Run(t.Context(), cmd, signals); !errors.As(err, &exit) || exit.Code != 9 {
		t.Errorf("SIGTERM came out as %v", err)
	}
}

func killedUser(t *testing.T, host *testhost.Host, cfg testhost.Config) {
	user := exec.Command(os.Args[0])
	user.Env = append(os.Environ(), "TESTHOST_VM_USER="+cfg.Module)
	user.Stdout = onWrite(func() { _ = user.Process.Kill() })
	if err := user.Run(); err == nil {
		t.Error("the user was not killed")
	}
	nobodySleeps(t, host)
}

// nobodySleeps wants the command of a user who left to have ended.
func nobodySleeps(t *testing.T, host *testhost.Host) {
	t.Helper()
	eventually(t, "the command has ended", func() error {
		if out, err := output(host, "/bin/sh", "-c", "pgrep -ax sleep || true"); err != nil || strings.Contains(out, "4242") {
			return errors.Join(err, errors.New(out))
		}
		return nil
	})
}

// onWrite is a writer that calls itself.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}
