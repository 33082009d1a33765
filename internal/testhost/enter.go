package testhost

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// hostNamespaces are all that a host has of its own: it runs as the same users.
const hostNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS |
	unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// inside calls do on a thread that is in the host: files are the host's, and so
// are the processes that it starts. The thread ends with the call, for it cannot
// be brought back.
func (h *Host) inside(do func() error) error {
	leader, err := unix.PidfdOpen(h.leader.PID, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	defer unix.Close(leader)
	if err := h.alive(); err != nil { // the PID is the one that the pidfd is for
		return err
	}
	result := make(chan error, 1)
	onOtherThread(func() {
		// setns(2) refuses a mount namespace to a thread that shares its root and
		// working directory with others.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			result <- fmt.Errorf("unshare: %w", err)
			return
		}
		if err := unix.Setns(leader, hostNamespaces); err != nil {
			result <- fmt.Errorf("setns: %w", err)
			return
		}
		result <- do()
	})
	return <-result
}

// onOtherThread starts do on a thread that ends with it. It is never the main
// thread, which cannot end: it would stay in the host's namespaces, keep them
// from going away, and answer for the whole process in /proc/self.
func onOtherThread(do func()) {
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends
		if unix.Gettid() != unix.Getpid() {
			do()
			return
		}
		onOtherThread(do) // while this one holds the main thread
		runtime.UnlockOSThread()
	}()
}
