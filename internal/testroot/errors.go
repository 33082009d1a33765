package testroot

import "errors"

// Reasons for which a root cannot be had on this machine. All three mean that a
// test should be skipped, not failed; every other error of [Build] is a fault.
var (
	// ErrNotRoot: building needs root privileges.
	ErrNotRoot = errors.New("needs root privileges")
	// ErrMissing: a program is not installed; the message names its package.
	ErrMissing = errors.New("program is not installed")
	// ErrUnreachable: no mirror is configured, or it does not answer.
	ErrUnreachable = errors.New("packages cannot be reached")
)

// Error reports which root could not be built or found, and why.
type Error struct {
	Op    string // "build", "clone", "mirror"
	Suite string
	Err   error // never nil; one of the sentinels, *exec.ExitError or *fs.PathError may be in its chain
}

func (e *Error) Error() string {
	return "testroot: " + e.Op + " " + e.Suite + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// unavailable tells whether err is about this machine rather than about us.
func unavailable(err error) bool {
	return errors.Is(err, ErrNotRoot) || errors.Is(err, ErrMissing) || errors.Is(err, ErrUnreachable)
}
