package archtest

import (
	"errors"
	"io/fs"
)

// Sentinels that [Error] wraps.
var (
	// ErrInvalid says that the options cannot be met, whatever the host.
	ErrInvalid = errors.New("invalid options")
	// ErrMissingProgram says that a program is not installed; the text names
	// the packages that have it.
	ErrMissingProgram = errors.New("missing program")
	// ErrPrivilege says that root is needed.
	ErrPrivilege = fs.ErrPermission
	// ErrClosed says that the mirror was closed before.
	ErrClosed = fs.ErrClosed
)

// Error is what [Start] and the methods of [Mirror] return.
type Error struct {
	Op    string // "start", "listen" or "close"
	Suite Suite  // empty where no suite is at stake
	Err   error
}

// Error says what failed, on what, and why.
func (e *Error) Error() string {
	if e.Suite == "" {
		return "archtest: " + e.Op + ": " + e.Err.Error()
	}
	return "archtest: " + e.Op + " " + string(e.Suite) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrap returns nil for no error, and an [Error] as it is.
func wrap(op string, suite Suite, err error) error {
	var own *Error
	if err == nil || errors.As(err, &own) {
		return err
	}
	return &Error{Op: op, Suite: suite, Err: err}
}
