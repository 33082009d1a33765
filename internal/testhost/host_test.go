package testhost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
)

// config is a host of the test's own: named after a directory that is the test's.
func config(t *testing.T) testhost.Config {
	t.Helper()
	if testhost.Inside() != "" {
		t.Skip("starts a host, and this is one")
	}
	return testhost.Config{Module: t.TempDir(), Output: t.Output()}
}

// acquire boots a host for the test, or skips it where there can be none.
func acquire(t *testing.T, cfg testhost.Config) *testhost.Host {
	t.Helper()
	host, err := testhost.Acquire(t.Context(), cfg)
	check(t, err)
	return host
}

// check skips the test if there can be no host here, and fails it on another error.
func check(t *testing.T, err error) {
	t.Helper()
	for _, reason := range []error{
		testroot.ErrNotRoot, testroot.ErrMissing, testroot.ErrUnreachable, testhost.ErrMissing, testhost.ErrNotSupported,
	} {
		if errors.Is(err, reason) {
			t.Skip(err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// gone asserts that nothing is left of a host.
func gone(t *testing.T, name string) {
	t.Helper()
	for _, path := range []string{
		"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/unified/" + name, "/run/systemd/nspawn/propagate/" + name,
		"/run/systemd/nspawn/unix-export/" + name,
		filepath.Join(testroot.CacheDir(), "testhost/run", name),
	} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte(name)) {
		t.Errorf("%s is left in our mount namespace, %v", name, err)
	}
	// The kernel takes a mount namespace apart in the background.
	eventually(t, "the loop device is free", func() error {
		loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
		for _, loop := range loops {
			if text, err := os.ReadFile(loop); err == nil && bytes.Contains(text, []byte(name)) {
				return fmt.Errorf("%s: %s", loop, text)
			}
		}
		return nil
	})
}

func TestLife(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	host := acquire(t, cfg)
	out, err := output(host, "/bin/sh", "-c", "systemctl is-system-running; pwd; hostname; cat; exit 42")
	var exit *testhost.ExitError
	if !errors.As(err, &exit) || exit.Code != 42 {
		t.Errorf("exit 42 came out as %v", err)
	}
	if want := "running\n/\n" + host.Name() + "\nsent"; out != want {
		t.Errorf("output %q, want %q", out, want)
	}
	if _, err := output(host, "/bin/sh", "-c", "kill -USR1 $$"); !errors.As(err, &exit) ||
		exit.Signal != syscall.SIGUSR1 {
		t.Errorf("SIGUSR1 came out as %v", err)
	}
	if err := host.Release(context.Background()); err != nil {
		t.Error(err)
	}
	gone(t, host.Name())
}

func TestSharedByMany(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	first := acquire(t, cfg)
	boot, err := output(first, "/bin/cat", "/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			host := acquire(t, cfg)
			if other, err := output(host, "/bin/cat", "/proc/sys/kernel/random/boot_id"); other != boot || err != nil {
				t.Errorf("boot ID %s, %v, want %s: another host", other, err, boot)
			}
			if err := host.Release(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := output(first, "/bin/true"); err != nil {
		t.Errorf("the host is gone before its last user: %v", err)
	}
	if err := first.Release(context.Background()); err != nil {
		t.Error(err)
	}
	gone(t, first.Name())
}

func TestKeptUntilStop(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	host := acquire(t, cfg)
	if err := errors.Join(host.Keep(), host.Release(context.Background())); err != nil {
		t.Fatal(err)
	}
	if _, err := output(host, "/bin/true"); err != nil {
		t.Errorf("a kept host is gone: %v", err)
	}
	for range 2 { // the second has nothing to do
		if err := testhost.Stop(t.Context(), cfg); err != nil {
			t.Error(err)
		}
	}
	if _, err := output(host, "/bin/true"); !errors.Is(err, testhost.ErrGone) {
		t.Errorf("a command in a stopped host: %v, want %v", err, testhost.ErrGone)
	}
	gone(t, host.Name())
}

// TestNothingOutlivesACommand leaves a process running behind a command that ends.
func TestNothingOutlivesACommand(t *testing.T) {
	t.Parallel()
	host := acquire(t, config(t))
	// The pipe of the output ends when the last process that holds it does.
	if _, err := output(host, "/bin/sh", "-c", "setsid sleep 1000 &"); err != nil {
		t.Error(err)
	}
	if err := host.Release(context.Background()); err != nil {
		t.Error(err)
	}
	gone(t, host.Name())
}

// TestKilledUser kills a user of the host in the middle of a command.
func TestKilledUser(t *testing.T) {
	if module := os.Getenv("TESTHOST_KILLED_USER"); module != "" {
		host, err := testhost.Acquire(t.Context(), testhost.Config{Module: module})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/bin/sh", "-c", "echo in the host; exec sleep 1000")
		cmd.Stdout = os.Stdout
		t.Fatal(host.Run(context.Background(), cmd, nil))
	}
	t.Parallel()
	cfg := config(t)
	if err := acquire(t, cfg).Release(context.Background()); err != nil { // or skip
		t.Fatal(err)
	}
	user := exec.Command(os.Args[0], "-test.run=^TestKilledUser$")
	user.Env = append(os.Environ(), "TESTHOST_KILLED_USER="+cfg.Module)
	stdout, err := user.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("in the host"))
	if _, err := io.ReadFull(stdout, said); err != nil || string(said) != "in the host" {
		t.Fatalf("the user said %q, %v", said, err)
	}
	_ = user.Process.Kill()
	_, _ = io.Copy(io.Discard, stdout) // ends when the command has died with its user
	_ = user.Wait()

	host := acquire(t, cfg) // the one that nobody powered off
	if _, err := output(host, "/bin/true"); err != nil {
		t.Error(err)
	}
	if err := host.Release(context.Background()); err != nil {
		t.Error(err)
	}
	gone(t, host.Name())
}

// TestKilledHost kills the host itself, as if the machine around it had crashed.
func TestKilledHost(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	host := acquire(t, cfg)
	for _, dir := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/unified/"} {
		_ = os.WriteFile(dir+host.Name()+"/cgroup.kill", []byte("1"), 0)
		for { // the kernel takes a while
			events, err := os.ReadFile(dir + host.Name() + "/cgroup.events")
			if err != nil || bytes.Contains(events, []byte("populated 0")) {
				break
			}
			runtime.Gosched()
		}
	}
	again := acquire(t, cfg)
	if _, err := output(again, "/bin/true"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(again.Release(context.Background()), host.Release(context.Background())); err != nil {
		t.Error(err)
	}
	gone(t, host.Name())
}

func TestShow(t *testing.T) {
	t.Parallel()
	host := acquire(t, config(t))
	dir := t.TempDir()
	if err := errors.Join(host.Show(dir), host.Show(dir)); err != nil {
		t.Fatal(err)
	}
	if out, err := output(host, "/bin/sh", "-c", "echo hello > "+dir+"/file; grep -c "+dir+" /proc/self/mountinfo"); out != "1\n" || err != nil {
		t.Errorf("mounted %q times, %v", strings.TrimSpace(out), err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "file")); string(text) != "hello\n" || err != nil {
		t.Errorf("the file reads %q, %v", text, err)
	}
	if err := host.Show("/no/such"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("show what is not there: %v", err)
	}
	if err := host.Release(context.Background()); err != nil {
		t.Error(err)
	}
}

func output(host *testhost.Host, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader("sent")
	var out bytes.Buffer
	cmd.Stdout = &out
	err := host.Run(context.Background(), cmd, nil)
	return out.String(), err
}
