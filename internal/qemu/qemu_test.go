package qemu

import (
	"context"
	"image/png"
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
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot make a tap")
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skip("no QEMU: install qemu-system-x86")
	}
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
	if _, err := os.Stat(m.dir); err == nil {
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
