package testhost

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
)

var (
	// ErrBoot: the host did not come up; the message ends with its console.
	ErrBoot = errors.New("host did not boot")
	// ErrGone: the host ended while it was in use.
	ErrGone = errors.New("host is gone")
	// ErrMissing: a program is not installed; the message names its package.
	ErrMissing = errors.New("program is not installed")
	// ErrBusy: as many commands run in a virtual host as it takes.
	ErrBusy = errors.New("host is busy")
	// ErrNotSupported: the kernel lacks what a host needs.
	ErrNotSupported = errors.New("not supported here")
)

// Error reports which host failed at what.
type Error struct {
	Op   string // "build", "boot", "enter", "show", "stop"
	Host string
	Err  error // never nil; a sentinel, *exec.ExitError of a helper, *fs.PathError or syscall.Errno may be in its chain
}

func (e *Error) Error() string {
	return "testhost: " + e.Op + " " + e.Host + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// wrap returns nil for a nil cause, and leaves an *Error as it is, and what is a
// command's own.
func (h *Host) wrap(op string, err error) error {
	if err == nil || errors.As(err, new(*Error)) || errors.As(err, new(*ExitError)) {
		return err
	}
	return &Error{Op: op, Host: h.name, Err: err}
}

// ExitError says how a command in a host ended that did not end well: by its own
// status or by a signal.
type ExitError struct {
	Code   int            // 1 to 255, or 0 if it was killed
	Signal syscall.Signal // 0 if it exited
}

func (e *ExitError) Error() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// ExitErrorOf turns what [exec.Cmd.Wait] returns for a command that ran into what
// [Host.Run] returns for it.
func ExitErrorOf(err error) error {
	exit, ran := err.(*exec.ExitError)
	if !ran {
		return err
	}
	status := exit.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return &ExitError{Signal: status.Signal()}
	}
	return &ExitError{Code: status.ExitStatus()}
}
