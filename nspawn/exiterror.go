package nspawn

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
)

// ExitError says that a command ran and did not succeed.
type ExitError struct {
	Machine string
	Command string
	// Stderr is the end of standard error, if Output collected it.
	Stderr []byte

	code   int
	signal syscall.Signal
}

// ExitCode is the exact exit status, or -1 when a signal ended the command.
func (e *ExitError) ExitCode() int { return e.code }

// Signal is what ended the command, or 0 if it exited.
func (e *ExitError) Signal() syscall.Signal { return e.signal }

// Error names the machine, the command, its status and its last words.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("nspawn: %s: %s: exit status %d", e.Machine, e.Command, e.code)
	if e.signal != 0 {
		text = fmt.Sprintf("nspawn: %s: %s: killed by signal %d (%v)", e.Machine, e.Command, int(e.signal), e.signal)
	}
	if lines := tailLines(e.Stderr, 5); len(lines) > 0 {
		text += "\n\t" + strings.Join(lines, "\n\t")
	}
	return text
}

// exitError makes the error for a command that did not succeed.
func (c *Cmd) exitError(code int, signal syscall.Signal) *ExitError {
	e := &ExitError{Machine: c.machine.Name(), Command: c.summary(), code: code, signal: signal}
	if c.tail != nil {
		e.Stderr = c.tail.Bytes()
	}
	return e
}

// buffer is a bytes.Buffer; a name of our own keeps its methods out of Cmd.
type buffer = bytes.Buffer

// tail keeps the end of what is written to it.
type tail struct{ data []byte }

const tailSize = 32 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if len(t.data) > 2*tailSize {
		t.data = append(t.data[:0], t.data[len(t.data)-tailSize:]...)
	}
	return len(p), nil
}

// Bytes returns at most tailSize bytes.
func (t *tail) Bytes() []byte { return t.data[max(0, len(t.data)-tailSize):] }
