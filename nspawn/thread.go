package nspawn

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onOwnThread runs f on a thread that no other goroutine will ever use: its
// namespaces and attributes can be changed, and processes that f starts inherit
// them. The thread ends with the goroutine that never unlocks it.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go ownThread(func() { done <- f() })
	return <-done
}

// ownThread leaves the main thread to others: that one cannot end, and would keep
// the namespaces that f joins, with all that is mounted in them, for as long as
// the program runs.
func ownThread(f func()) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if unix.Gettid() == unix.Getpid() {
		go ownThread(f)
		runtime.UnlockOSThread()
		return
	}
	f()
}

// onSpareThread is onOwnThread for what is in a hurry: on a busy host, the kernel
// lets a thread that waits go before one that is new.
func (h *Host) onSpareThread(f func() error) error {
	done := make(chan error, 1)
	job := func() { done <- f() }
	select {
	case h.spare <- job:
	default: // it is used at this moment
		go ownThread(job)
	}
	return <-done
}

// keepSpare has one thread wait for the next job, until the Host is closed.
func (h *Host) keepSpare() {
	go ownThread(func() {
		select {
		case job := <-h.spare:
			job()
			h.keepSpare()
		case <-h.closing.Done():
		}
	})
}
