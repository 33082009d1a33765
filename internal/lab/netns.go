package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// newNetns makes a network namespace with its loopback up. It lives until it is closed
// and nothing is in it any more; its path is good for other processes, too.
func newNetns() (path string, closeNetns func() error, err error) {
	var file *os.File
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare the network namespace: %w", err)
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return err
		}
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()), file.Close, nil
}

// Dial connects from the host as the lab sees it: from its network namespace.
func (l *Lab) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	var dialer net.Dialer
	err = inNetns(l.Netns, func() error {
		// Of a literal address; a name would be looked up by other threads.
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// inNetns runs f in the network namespace of that path; empty means the caller's.
func inNetns(path string, f func() error) error {
	if path == "" {
		return f()
	}
	return onThread(func() error {
		ns, err := os.Open(path)
		if err != nil {
			return err
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("join %s: %w", path, err)
		}
		return f()
	})
}

// onThread runs f on a thread that ends with it, so that nobody inherits its
// namespace. The main thread cannot end, and is left to others.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go ownThread(func() { done <- f() })
	return <-done
}

func ownThread(f func()) {
	runtime.LockOSThread() // never unlocked
	if unix.Gettid() == unix.Getpid() {
		go ownThread(f)
		runtime.UnlockOSThread()
		return
	}
	f()
}
