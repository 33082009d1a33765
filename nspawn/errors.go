package nspawn

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Errors that callers tell apart with errors.Is. ErrNotFound and ErrExists also
// match fs.ErrNotExist and fs.ErrExist.
var (
	// ErrNotFound means that there is no machine, program or user of that name.
	ErrNotFound error = &kind{"not found", fs.ErrNotExist}
	// ErrExists means that a machine of that name is there already.
	ErrExists error = &kind{"already exists", fs.ErrExist}
	// ErrBusy means that something else holds what was asked for: another
	// machine the root, or another program the machine.
	ErrBusy error = &kind{"busy", nil}
	// ErrInvalid means that a configuration or argument can never work.
	ErrInvalid error = &kind{"invalid", fs.ErrInvalid}
	// ErrNotSupported means that this host, kernel or systemd cannot do it.
	ErrNotSupported error = &kind{"not supported here", errors.ErrUnsupported}
	// ErrNotRunning means that the machine has ended.
	ErrNotRunning error = &kind{"not running", nil}
	// ErrClosed means that the Host was closed.
	ErrClosed error = &kind{"closed", fs.ErrClosed}
)

// kind is a sentinel that may also stand for one of the standard library's.
type kind struct {
	text string
	also error
}

func (k *kind) Error() string        { return k.text }
func (k *kind) Is(target error) bool { return k.also != nil && target == k.also }

// Error is what every method of this package returns when it fails, except
// where a command ran and did not succeed, which is an *ExitError.
type Error struct {
	Op      string   // what was attempted: "start", "stop", "exec", …
	Machine string   // the machine's name, empty if none was concerned
	Err     error    // the cause; wraps one of this package's sentinels, an errno, or a context's error
	Console []string // the last lines of the machine's console, if they may help
	Startup *Startup // what a start-up that took too long was busy with
	Journal []string // the last lines of the journal about the unit concerned
	Hint    string   // what to do next, empty if there is nothing to say
}

// Error names the machine, the cause, the remedy and the last console lines.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("nspawn: ")
	b.WriteString(e.Op)
	if e.Machine != "" {
		fmt.Fprintf(&b, " %s", e.Machine)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	if e.Startup != nil {
		b.WriteString("\n" + e.Startup.String())
	}
	if len(e.Journal) > 0 {
		b.WriteString("\nlast lines of its journal:\n\t" + strings.Join(e.Journal, "\n\t"))
	}
	if len(e.Console) > 0 {
		b.WriteString("\nlast lines of its console:\n\t")
		b.WriteString(strings.Join(e.Console, "\n\t"))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault is one thing that is wrong with a configuration. Validate joins all of
// them; each matches ErrInvalid.
type Fault struct {
	Field   string // as in Go: "Binds[2].Target"
	Problem string
}

// Error is the field and its problem.
func (f *Fault) Error() string { return f.Field + ": " + f.Problem }

// Is makes every fault match ErrInvalid.
func (f *Fault) Is(target error) bool { return target == ErrInvalid }

// fail wraps err with what was attempted, or returns nil for a nil err. An
// *Error passes unchanged: the innermost knows best what failed.
func fail(op, machine string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	return &Error{Op: op, Machine: machine, Err: err}
}
