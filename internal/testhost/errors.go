package testhost

import "errors"

var (
	// ErrBoot: the host did not come up; the message ends with its console.
	ErrBoot = errors.New("host did not boot")
	// ErrGone: the host ended while it was in use.
	ErrGone = errors.New("host is gone")
	// ErrMissing: a program is not installed; the message names its package.
	ErrMissing = errors.New("program is not installed")
	// ErrNotSupported: the kernel lacks what a host needs.
	ErrNotSupported = errors.New("not supported here")
)

// Error reports which host failed at what.
type Error struct {
	Op   string // "build", "boot", "enter", "show", "stop"
	Host string
	Err  error // never nil; a sentinel, *exec.ExitError, *fs.PathError or syscall.Errno may be in its chain
}

func (e *Error) Error() string {
	return "testhost: " + e.Op + " " + e.Host + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// wrap returns nil for a nil cause, and leaves an *Error as it is.
func (h *Host) wrap(op string, err error) error {
	if err == nil || errors.As(err, new(*Error)) {
		return err
	}
	return &Error{Op: op, Host: h.name, Err: err}
}
