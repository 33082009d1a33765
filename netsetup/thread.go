package netsetup

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// thread is an OS thread that lives in one network namespace and runs what it
// is given, one function after the other. Sockets opened on it, programs
// started from it and /proc/sys/net as it sees it are that namespace's.
type thread struct {
	calls chan func()
	quit  chan struct{} // closed: stop
	done  chan struct{} // closed: stopped
}

// startThread starts a thread in the namespace that the file path names, or in
// the caller's if path is empty.
func startThread(path string) (*thread, error) {
	if path == "" {
		// The caller may have locked its goroutine to a thread of another
		// namespace than the process's.
		path = "/proc/thread-self/ns/net"
	}
	ns, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()

	t := &thread{calls: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	entered := make(chan error)
	go ownThread(func() {
		defer close(t.done)
		err := enterNamespace(ns)
		entered <- err
		if err != nil {
			return
		}
		t.run()
	})
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ownThread runs f on a thread that ends with it, so that nobody inherits its
// namespace. The main thread cannot end, and is left to others.
func ownThread(f func()) {
	runtime.LockOSThread() // never unlocked
	if unix.Gettid() == unix.Getpid() {
		go ownThread(f)
		runtime.UnlockOSThread()
		return
	}
	f()
}

func (t *thread) run() {
	for {
		select {
		case f := <-t.calls:
			f()
		case <-t.quit:
			return
		}
	}
}

// stop ends the thread after what it is doing. It may be called once.
func (t *thread) stop() {
	close(t.quit)
	<-t.done
}

// enterNamespace moves the calling thread. Where it is there already nothing
// is asked of the kernel, so that looking needs no privileges.
func enterNamespace(ns *os.File) error {
	var want, have unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &want); err != nil {
		return err
	}
	if err := unix.Stat("/proc/thread-self/ns/net", &have); err != nil {
		return err
	}
	if want.Dev == have.Dev && want.Ino == have.Ino {
		return nil
	}
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
}

// do runs f on the thread and waits for it. It returns early only while f has
// not begun.
func (t *thread) do(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	select {
	case t.calls <- func() { result <- f() }:
		return <-result
	case <-t.done:
		return os.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// netnsCookie is a number of the calling thread's network namespace that no
// other namespace gets before the next boot. Inode numbers are used again.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("%w: Linux 5.14 is needed to tell network namespaces apart (%w)", ErrNotSupported, err)
	}
	return cookie, nil
}
