package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/proc"
)

// pidfd is a process that cannot be mistaken for a later one of the same ID.
type pidfd struct {
	pid  int
	file *os.File
}

// openPidfd refers to a process that exists now.
func openPidfd(pid int) (*pidfd, error) {
	// Non-blocking (Linux 5.10), so that waiting goes through the runtime's poller.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	return &pidfd{pid, os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid))}, nil
}

// wait blocks until the process has ended or the context has. Only one
// goroutine may wait at a time.
func (p *pidfd) wait(ctx context.Context) error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for %s: %w", p.file.Name(), err)
	}
	stop := context.AfterFunc(ctx, func() { p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = conn.Read(readable)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// readable reports whether the process of a pidfd has ended.
func readable(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return n > 0 || err != nil && err != unix.EINTR
}

// ended reports whether the process has, collected or not.
func (p *pidfd) ended() bool {
	over := true
	_ = p.control(func(fd int) error {
		over = readable(uintptr(fd))
		return nil
	})
	return over
}

// control calls f with the descriptor, which stays open meanwhile.
func (p *pidfd) control(f func(fd int) error) error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// duplicate makes a descriptor of its own.
func (p *pidfd) duplicate() (file *os.File, err error) {
	err = p.control(func(fd int) error {
		other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		file = os.NewFile(uintptr(other), p.file.Name())
		return err
	})
	if errors.Is(err, os.ErrClosed) {
		err = ErrNotRunning
	}
	return file, err
}

// signal sends a signal; that the process has ended already is ErrNotRunning.
func (p *pidfd) signal(signal unix.Signal) error {
	err := p.control(func(fd int) error { return unix.PidfdSendSignal(fd, signal, nil, 0) })
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrClosed) {
		return ErrNotRunning
	}
	return err
}

// setns joins namespaces of the process with the calling thread.
func (p *pidfd) setns(which int) error {
	err := p.control(func(fd int) error { return unix.Setns(fd, which) })
	if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrClosed) {
		return ErrNotRunning
	}
	return err
}

// status is how a process that is not our child has ended. It is read from the
// dead process until its parent has collected it, and asked of the kernel
// afterwards, which tells since 6.15.
func (p *pidfd) status() ExitStatus {
	const exitCode = 52 - 3 // of /proc/PID/stat, counted from the third
	fields, err := proc.Stat(p.pid)
	if err == nil && p.signal(0) == nil && len(fields) > exitCode {
		if code, err := strconv.Atoi(fields[exitCode]); err == nil && fields[0] == "Z" {
			return exitStatus(unix.WaitStatus(code))
		}
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	err = p.control(func(fd int) error { return unix.IoctlPidfdInfo(fd, &info) })
	if err != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return ExitStatus{Code: -1}
	}
	return exitStatus(unix.WaitStatus(info.Exit_code))
}

// exitStatus reads a wait status.
func exitStatus(ws unix.WaitStatus) ExitStatus {
	if ws.Signaled() {
		return ExitStatus{Code: -1, Signal: ws.Signal()}
	}
	return ExitStatus{Code: ws.ExitStatus()}
}

func (p *pidfd) Close() error { return p.file.Close() }
