package nspawn

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ExitError says that a command ran and did not succeed. ExitCode is exact, and
// -1 when a signal ended the command.
type ExitError struct {
	*os.ProcessState
	Machine string
	Command string
	// Stderr is the end of standard error, if Output collected it.
	Stderr []byte
}

// Signal is what ended the command, or 0 if it exited.
func (e *ExitError) Signal() syscall.Signal {
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return status.Signal()
	}
	return 0
}

// Error names the machine, the command, its status and its last words.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("nspawn: %s: %s: %v", e.Machine, e.Command, e.ProcessState)
	if lines := tailLines(e.Stderr, 5); len(lines) > 0 {
		text += "\n\t" + strings.Join(lines, "\n\t")
	}
	return text
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
