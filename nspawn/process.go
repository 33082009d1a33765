package nspawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unifiedPath is the control group of a process as /proc/PID/cgroup has it.
func unifiedPath(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	return parseCgroup(string(data))
}

// parseCgroup finds the line of the unified hierarchy, which has number 0 and
// no controllers.
func parseCgroup(text string) (string, error) {
	for line := range strings.Lines(text) {
		if path, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return path, nil
		}
	}
	return "", errors.New("the process is in no control group of version 2")
}

// boundingSet is the capability bounding set of a process.
func boundingSet(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if value, found := bytes.CutPrefix(line, []byte("CapBnd:")); found {
			return strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		}
	}
	return 0, fmt.Errorf("/proc/%d/status: no CapBnd in it", pid)
}

// identityMapped reports whether the user IDs of a process's namespace are
// those of the host.
func identityMapped(pid int) (bool, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	if err != nil {
		return false, err
	}
	fields := strings.Fields(string(data))
	return len(fields) == 3 && fields[0] == "0" && fields[1] == "0" && fields[2] == "4294967295", nil
}

// pidfd is a process that cannot be mistaken for a later one of the same ID.
type pidfd struct{ file *os.File }

// openPidfd refers to a process that exists now.
func openPidfd(pid int) (*pidfd, error) {
	// Non-blocking (Linux 5.10), so that waiting goes through the runtime's poller.
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("pidfd of %d: %w", pid, err)
	}
	return &pidfd{os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid))}, nil
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
		return ctx.Err()
	}
	return err
}

// readable reports whether the process of a pidfd has ended.
func readable(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return n > 0 || err != nil && err != unix.EINTR
}

// status is how a process that is not our child has ended, once its parent has
// collected it. Kernels before 6.15 do not tell.
func (p *pidfd) status() ExitStatus {
	unknown := ExitStatus{Code: -1}
	conn, err := p.file.SyscallConn()
	if err != nil {
		return unknown
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	var infoErr error
	err = conn.Control(func(fd uintptr) {
		// POLLHUP: it is collected.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, 1000)
		infoErr = unix.IoctlPidfdInfo(int(fd), &info)
	})
	if err != nil || infoErr != nil || info.Mask&unix.PIDFD_INFO_EXIT == 0 {
		return unknown
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

// signal sends a signal; a process that has ended is fs.ErrNotExist's like.
func (p *pidfd) signal(signal unix.Signal) error {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = conn.Control(func(fd uintptr) { sendErr = unix.PidfdSendSignal(int(fd), signal, nil, 0) })
	if errors.Is(sendErr, unix.ESRCH) {
		return ErrNotRunning
	}
	return errors.Join(err, sendErr)
}

// ended reports whether the process has ended, reaped or not.
func (p *pidfd) ended() bool {
	ended := true
	if conn, err := p.file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { ended = readable(fd) })
	}
	return ended
}

func (p *pidfd) Close() error { return p.file.Close() }

// parentOf is a process's parent.
func parentOf(pid int) (int, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses that may hold anything.
	_, rest, found := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 2 {
		return 0, &fs.PathError{Op: "parse", Path: fmt.Sprintf("/proc/%d/stat", pid), Err: fs.ErrInvalid}
	}
	return strconv.Atoi(fields[1])
}
