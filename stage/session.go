package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Session is what a [Step] or [Check] sees of its machine. It may be used
// concurrently.
type Session struct {
	lab     *Lab
	machine string
	target  Target
	out     io.Writer
	restart func(context.Context) error
	bind    func(context.Context, Bind) error
	peers   map[string]Target
}

// Machine returns the machine's name.
func (s *Session) Machine() string { return s.machine }

// Log is where a stage's output goes: its log file and the events.
func (s *Session) Log() io.Writer { return s.out }

// Exec runs a command in the machine. Output that has no other place goes to the log.
func (s *Session) Exec(ctx context.Context, c Command) error {
	if c.Stdout == nil {
		c.Stdout = s.out
	}
	if c.Stderr == nil {
		c.Stderr = s.out
	}
	err := s.target.Machine.Exec(ctx, c)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// Output runs a command and returns what it printed, up to 1 MiB. If it fails, the error quotes
// the first line that it printed to its standard error.
func (s *Session) Output(ctx context.Context, args ...string) ([]byte, error) {
	stdout, stderr := &limited{max: 1 << 20}, &limited{max: 4 << 10}
	err := s.target.Machine.Exec(ctx, Command{Args: args, Stdout: stdout, Stderr: stderr})
	if err != nil {
		if line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n"); line != "" {
			err = fmt.Errorf("%w: %s", err, printable([]byte(line)))
		}
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	return stdout.Bytes(), err
}

// Secret returns a secret's value. From then on it is hidden in the output.
func (s *Session) Secret(ctx context.Context, name string) ([]byte, error) {
	return s.lab.secret.get(ctx, name)
}

// Restart powers the machine off and starts it again.
func (s *Session) Restart(ctx context.Context) error {
	if s.restart == nil {
		return fmt.Errorf("restart of %s: %w: only a step may", s.machine, ErrNotSupported)
	}
	return s.restart(ctx)
}

// Bind makes the machine see b, starting it again if it does not yet. The calling step
// must have a method Binding() Bind that returns b, or the next start would not know.
func (s *Session) Bind(ctx context.Context, b Bind) error {
	if s.bind == nil {
		return fmt.Errorf("bind in %s: %w: only a step may", s.machine, ErrNotSupported)
	}
	return s.bind(ctx, b)
}

// On returns a session of another machine of the plan, one that the stage needs.
func (s *Session) On(machine string) (*Session, error) {
	t, ok := s.peers[machine]
	if !ok {
		return nil, fmt.Errorf("machine %q: %w among those that the stage needs", machine, ErrNotFound)
	}
	return &Session{lab: s.lab, machine: machine, target: t, out: s.out}, nil
}

// HostDial connects from the host.
func (s *Session) HostDial(ctx context.Context, network, address string) (net.Conn, error) {
	return s.lab.opts.HostDial(ctx, network, address)
}

// limited keeps the first max bytes.
type limited struct {
	bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// journal returns the last lines that the machine's journal has of a unit, or of
// anything that is at least a warning. It is a help in an error message: it never fails.
func (s *Session) journal(ctx context.Context, unit string) []string {
	args := []string{"journalctl", "--no-pager", "--quiet", "--output=short-iso", "--lines=10"}
	if unit != "" {
		args = append(args, "--unit="+unit)
	} else {
		args = append(args, "--priority=warning")
	}
	out, err := s.Output(ctx, args...)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.lab.log.Debug("no journal", "machine", s.machine, "err", err)
		}
		return nil
	}
	var lines []string
	for line := range bytes.Lines(s.lab.secret.redact(out)) {
		if text := printable(line); text != "" {
			lines = append(lines, text)
		}
	}
	return lines
}
