package archtest

import (
	"context"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// listen opens a TCP listener at addr in the network namespace at the path netns,
// or in the caller's own if that is empty.
func listen(ctx context.Context, addr, netns string) (net.Listener, error) {
	var config net.ListenConfig
	if netns == "" {
		return config.Listen(ctx, "tcp", addr)
	}
	file, err := os.Open(netns)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result, 1)
	go onOwnThread(func() {
		// A socket belongs to the namespace of the thread that makes it.
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{nil, os.NewSyscallError("setns "+netns, err)}
			return
		}
		l, err := config.Listen(ctx, "tcp", addr)
		done <- result{l, err}
	})
	r := <-done
	return r.l, r.err
}

// onOwnThread calls f on a thread that dies with this goroutine. The main thread cannot
// die, and answers for the program in /proc/self: there f goes to another.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		go onOwnThread(f)
		runtime.UnlockOSThread()
		return
	}
	f()
}
