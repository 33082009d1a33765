package qemu

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestMachine boots a machine on a bridge where nobody answers, in a network namespace
// of its own.
func TestMachine(t *testing.T) {
	t.Parallel()
	needs(t)
	done := make(chan struct{})
	go inNamespace(func(err error) {
		defer close(done)
		if err != nil {
			t.Error(err)
			return
		}
		testMachine(t)
	})
	<-done
}

// TestSilentMonitor gives a QEMU up that connects and says nothing.
func TestSilentMonitor(t *testing.T) {
	t.Parallel()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "monitor"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	m := &Machine{console: newConsole(nil), done: make(chan struct{})}
	if _, err := m.accept(ctx, l); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("accept: %v", err)
	}
}

// killed has the test program start a machine, tell of it, and wait to be killed.
const killed = "QEMU_TEST_KILLED"

// TestProgramKilled wants the machine of a program that is killed to end with it.
func TestProgramKilled(t *testing.T) {
	t.Parallel()
	needs(t)
	if os.Getenv(killed) != "" {
		go inNamespace(func(err error) { leaveMachine(t, err) })
		select {}
	}
	program := exec.Command("/proc/self/exe", "-test.run=^TestProgramKilled$")
	program.Env, program.Stderr = append(os.Environ(), killed+"=yes", "TMPDIR="+t.TempDir()), os.Stderr
	out, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "machine %d", &pid)
	}
	machine, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Errorf("the machine, process %d: %v", pid, err)
	}
	defer unix.Close(machine)
	_ = program.Process.Kill()
	_ = program.Wait()
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(machine), Events: unix.POLLIN}}, 10_000); n != 1 {
		t.Errorf("the machine goes on: %v", errors.Join(err, unix.PidfdSendSignal(machine, unix.SIGKILL, nil, 0)))
	}
}

// leaveMachine starts a machine and tells of it.
func leaveMachine(t *testing.T, err error) {
	if err == nil {
		err = netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vz-test"}})
	}
	var m *Machine
	if err == nil {
		m, err = Start(t.Context(), Config{Tap: "vnet0", Bridge: "vz-test", MAC: "52:54:00:12:34:56", Memory: 128})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("\nmachine", m.cmd.Process.Pid)
	select {}
}

// inNamespace calls f in a network namespace that ends with its thread, which must not
// be the main one: that would stay.
func inNamespace(f func(error)) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		go inNamespace(f)
		runtime.UnlockOSThread()
		return
	}
	f(unix.Unshare(unix.CLONE_NEWNET))
}

func needs(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot make a tap")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("no QEMU: install qemu-system-x86")
	}
}

func testMachine(t *testing.T) {
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vz-test"}}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := Start(ctx, Config{Tap: "vnet0", Bridge: "vz-none", MAC: "52:54:00:12:34:56"}); err == nil {
		t.Error("a bridge that does not exist is accepted")
	}
	m, err := Start(ctx, Config{Tap: "vnet0", Bridge: "vz-test", MAC: "52:54:00:12:34:56", Memory: 128})
	if err != nil {
		t.Error(err)
		return
	}
	if err := m.Expect(ctx, "iPXE"); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "screen.png")
	if err := m.Screenshot(file); err != nil {
		t.Error(err)
	} else {
		lookAtScreen(t, file)
	}
	if err := m.Type("a-b.c\n"); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := netlink.LinkByName("vnet0"); err == nil {
		t.Error("the tap is still there")
	}
	if _, err := os.Stat(m.dir.Path); err == nil {
		t.Error("the monitor's directory is still there")
	}
}

// lookAtScreen wants something to be on the screen.
func lookAtScreen(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Error(err)
		return
	}
	colours := map[any]bool{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			colours[picture.At(x, y)] = true
		}
	}
	if len(colours) < 2 {
		t.Errorf("nothing is on the screen of %v", picture.Bounds())
	}
}
