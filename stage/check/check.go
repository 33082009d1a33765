// Package check has the conditions that stages are checked by.
//
// A check is a plain value that looks once; a run looks again, less and less often,
// until the stage's time for checks is over. Those about the network look from the
// host, or from inside the machine if Inside is set, with the same client.
package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/human"
	"github.com/prologin/rig/stage/internal/shell"
)

// attempt limits one look over the network, so that a lost packet does not use up all
// the time.
const attempt = 3 * time.Second

// late says of a look that took too long how long that was.
func late(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer within %v", attempt)
	}
	return err
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{stage.ErrInvalid}, args...)...)
}

// typed is a command that a person would type in the machine or on the host.
func typed(inside bool, args ...string) []stage.Line {
	return []stage.Line{{Host: !inside, Text: shell.Join(args...)}}
}

// dialer returns how to connect from where a check looks.
func dialer(s *stage.Session, inside bool) func(context.Context, string, string) (net.Conn, error) {
	if inside {
		return s.Dial
	}
	return s.HostDial
}

// where ends a check's text.
func where(inside bool) string {
	if inside {
		return ", seen from inside"
	}
	return ""
}

// UnitActive holds when a systemd unit of the machine is active.
type UnitActive struct{ Name string }

// UnitEnabled holds when a systemd unit of the machine is enabled.
type UnitEnabled struct{ Name string }

// String states the condition.
func (u UnitActive) String() string { return u.Name + " is active" }

// String states the condition.
func (u UnitEnabled) String() string { return u.Name + " is enabled" }

// Unit returns the unit's name.
func (u UnitActive) Unit() string { return u.Name }

// Unit returns the unit's name.
func (u UnitEnabled) Unit() string { return u.Name }

// Validate returns an error that matches [stage.ErrInvalid] if there is no name.
func (u UnitActive) Validate() error { return unitName(u.Name) }

// Validate returns an error that matches [stage.ErrInvalid] if there is no name.
func (u UnitEnabled) Validate() error { return unitName(u.Name) }

// Manual returns systemctl is-active.
func (u UnitActive) Manual(string) []stage.Line { return typed(true, "systemctl", "is-active", u.Name) }

// Manual returns systemctl is-enabled.
func (u UnitEnabled) Manual(string) []stage.Line {
	return typed(true, "systemctl", "is-enabled", u.Name)
}

// Probe asks systemctl.
func (u UnitActive) Probe(ctx context.Context, s *stage.Session) error {
	return systemctl(ctx, s, "is-active", u.Name)
}

// Probe asks systemctl.
func (u UnitEnabled) Probe(ctx context.Context, s *stage.Session) error {
	return systemctl(ctx, s, "is-enabled", u.Name)
}

func unitName(name string) error {
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, " \t\n/") {
		return invalid("unit %q", name)
	}
	return nil
}

// systemctl returns the state that systemctl prints as the error.
func systemctl(ctx context.Context, s *stage.Session, verb, unit string) error {
	out, err := s.Output(ctx, "systemctl", verb, "--", unit)
	if state := strings.TrimSpace(string(out)); err != nil && state != "" {
		return errors.New(state)
	}
	return err
}

// Command holds when a command in the machine succeeds and, if Output is set, prints
// it somewhere.
type Command struct {
	// Args holds the program and its arguments.
	Args []string

	// Output is what its standard output must contain, within the first MiB.
	Output string
}

// Run returns a Command of the given program.
func Run(args ...string) Command { return Command{Args: args} }

// String states the condition.
func (c Command) String() string {
	if c.Output != "" {
		return fmt.Sprintf("%q prints %q", strings.Join(c.Args, " "), c.Output)
	}
	return fmt.Sprintf("%q succeeds", strings.Join(c.Args, " "))
}

// Validate returns an error that matches [stage.ErrInvalid] if there is no program.
func (c Command) Validate() error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return invalid("no program")
	}
	return nil
}

// Manual returns the command.
func (c Command) Manual(string) []stage.Line { return typed(true, c.Args...) }

// Probe runs the command.
func (c Command) Probe(ctx context.Context, s *stage.Session) error {
	out, err := s.Output(ctx, c.Args...)
	if err != nil {
		return err
	}
	if !bytes.Contains(out, []byte(c.Output)) {
		return fmt.Errorf("it printed %s", excerpt(out))
	}
	return nil
}

// excerpt quotes the beginning of something.
func excerpt(b []byte) string {
	return strconv.Quote(human.Cut(string(bytes.TrimSpace(b)), 200))
}

// Func holds when a function of the program returns nil. Its error says what was seen.
type Func struct {
	// Name states the condition.
	Name string

	// Text is what a person would type to see it.
	Text string

	// Look looks once.
	Look func(ctx context.Context, s *stage.Session) error
}

// String returns the name.
func (f Func) String() string { return f.Name }

// Validate returns an error that matches [stage.ErrInvalid] if a field is missing.
func (f Func) Validate() error {
	if f.Name == "" || f.Look == nil {
		return invalid("a function needs a name and Look")
	}
	return nil
}

// Manual returns Text, or a remark if there is none.
func (f Func) Manual(string) []stage.Line {
	if f.Text == "" {
		return []stage.Line{{Text: "# (the program looks)"}}
	}
	return []stage.Line{{Text: f.Text}}
}

// Probe calls the function.
func (f Func) Probe(ctx context.Context, s *stage.Session) error { return f.Look(ctx, s) }
