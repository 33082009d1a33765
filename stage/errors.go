package stage

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrInvalid says that a plan, a name or a step's field is wrong.
	ErrInvalid = errors.New("invalid")

	// ErrNotFound says that no machine, stage, snapshot or secret has that name.
	ErrNotFound = errors.New("not found")

	// ErrBusy says that another program is using the lab.
	ErrBusy = errors.New("lab in use")

	// ErrCheck says that a check did not come true in time.
	ErrCheck = errors.New("check failed")

	// ErrBlocked says that a stage was not tried, since one that it needs failed.
	ErrBlocked = errors.New("blocked")

	// ErrChanged says that an input changed while it was being used.
	ErrChanged = errors.New("input changed meanwhile")

	// ErrNotSupported says that a machine or volume cannot do what was asked of it.
	ErrNotSupported = errors.New("not supported")
)

// Error is the error of everything that concerns one machine. Those of several
// machines come joined, as by [errors.Join].
type Error struct {
	// Op is what was being done: "start", "step", "check", "save", "restore", "need".
	Op string

	// Machine and Stage say where. Stage may be empty.
	Machine, Stage string

	// Step is the step or check that failed, as its String method gives it.
	Step string

	// Output holds the last lines of output, or of the journal, without escapes.
	Output []string

	// Log is the file with the stage's whole output, if there is one.
	Log string

	// Resume and Shell are the commands to go on and to look around.
	Resume, Shell string

	// Err is the cause: what a [Machine], [Volume], [Step] or [Check] returned, a
	// context's error or one of this package's sentinels, wrapped or not.
	Err error
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Error returns the failure on the first line and on the following ones, indented,
// what a person needs to act on it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Machine)
	if e.Stage != "" {
		b.WriteString("/" + e.Stage)
	}
	fmt.Fprintf(&b, ": %s", e.Op)
	if e.Step != "" {
		fmt.Fprintf(&b, " %q", e.Step)
	}
	b.WriteString(": " + cause(e.Err))
	for _, line := range e.Output {
		b.WriteString("\n  | " + line)
	}
	for _, hint := range []struct{ name, text string }{
		{"full output", e.Log}, {"to resume", e.Resume}, {"to look around", e.Shell},
	} {
		if hint.text != "" {
			fmt.Fprintf(&b, "\n  %s: %s", hint.name, hint.text)
		}
	}
	return b.String()
}

// cause returns the text of an error that stands beside the name of its step. A machine
// may quote the whole command in it, which can be a script of many lines.
func cause(err error) string {
	text := err.Error()
	line, _, more := strings.Cut(text, "\n")
	if !more {
		return text
	}
	if code := ExitCode(err); code >= 0 {
		return fmt.Sprintf("exit status %d", code)
	}
	return line + " …"
}

// remarked is an error with something to say of it that must not get lost in a long text.
type remarked struct {
	err    error
	remark string
}

func (r *remarked) Error() string { return fmt.Sprintf("%s (%s)", cause(r.err), r.remark) }
func (r *remarked) Unwrap() error { return r.err }

// ExitCode returns the exit status of the command that err is about, or -1 if it is
// about none.
func ExitCode(err error) int {
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}
