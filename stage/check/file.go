package check

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/prologin/rig/stage"
)

// FilePresent holds when there is something at a path in the machine.
type FilePresent struct{ Path string }

// String states the condition.
func (f FilePresent) String() string { return f.Path + " is there" }

// Validate returns an error that matches [stage.ErrInvalid] if the path is wrong.
func (f FilePresent) Validate() error { return absolute(f.Path) }

// Manual returns ls.
func (f FilePresent) Manual(string) []stage.Line { return typed(true, "ls", "-d", f.Path) }

// Probe looks for the file.
func (f FilePresent) Probe(ctx context.Context, s *stage.Session) error {
	_, err := s.Output(ctx, "test", "-e", f.Path)
	if stage.ExitCode(err) == 1 {
		return errors.New("nothing there")
	}
	return err
}

// FileContains holds when a file in the machine contains a text or a match.
type FileContains struct {
	Path string

	// Text must be in the file; if Pattern is set, a match of that regular expression
	// must, where ^ and $ match at lines.
	Text    string
	Pattern string
}

// String states the condition.
func (f FileContains) String() string {
	if f.Pattern != "" {
		return fmt.Sprintf("%s matches %q", f.Path, f.Pattern)
	}
	return fmt.Sprintf("%s contains %q", f.Path, f.Text)
}

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (f FileContains) Validate() error {
	if (f.Text == "") == (f.Pattern == "") {
		return invalid("one of Text and Pattern must be set")
	}
	if _, err := f.regexp(); err != nil {
		return invalid("pattern: %v", err)
	}
	return absolute(f.Path)
}

// Manual returns grep.
func (f FileContains) Manual(string) []stage.Line {
	if f.Pattern != "" {
		return typed(true, "grep", "-E", f.Pattern, f.Path)
	}
	return typed(true, "grep", "-F", f.Text, f.Path)
}

// Probe reads the file, up to its first MiB.
func (f FileContains) Probe(ctx context.Context, s *stage.Session) error {
	out, err := s.Output(ctx, "head", "-c", "1048576", "--", f.Path)
	if err != nil {
		return err
	}
	pattern, err := f.regexp()
	if err != nil {
		return invalid("pattern: %v", err)
	}
	if !pattern.Match(out) {
		return fmt.Errorf("%d bytes without it: %s", len(out), excerpt(out))
	}
	return nil
}

func (f FileContains) regexp() (*regexp.Regexp, error) {
	if f.Pattern != "" {
		return regexp.Compile("(?m)" + f.Pattern)
	}
	return regexp.Compile(regexp.QuoteMeta(f.Text))
}

// Mounted holds when something is mounted at a path in the machine.
type Mounted struct {
	Path string

	// Type is the type that the file system must have. Empty means any.
	Type string
}

// String states the condition.
func (m Mounted) String() string {
	if m.Type != "" {
		return m.Path + " is a mounted " + m.Type
	}
	return m.Path + " is mounted"
}

// Validate returns an error that matches [stage.ErrInvalid] if the path is wrong.
func (m Mounted) Validate() error { return absolute(m.Path) }

// Manual returns findmnt.
func (m Mounted) Manual(string) []stage.Line { return typed(true, "findmnt", m.Path) }

// Probe reads the machine's table of mounts, /proc/self/mounts as in proc(5).
func (m Mounted) Probe(ctx context.Context, s *stage.Session) error {
	out, err := s.Output(ctx, "cat", "/proc/self/mounts")
	if err != nil {
		return err
	}
	found, want := "", path.Clean(m.Path)
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) >= 3 && unescape.Replace(f[1]) == want {
			found = f[2] // the last mount hides the others
		}
	}
	switch {
	case found == "":
		return errors.New("not mounted")
	case m.Type != "" && found != m.Type:
		return fmt.Errorf("it is a %s", found)
	}
	return nil
}

// unescape undoes what the kernel does to names in tables of mounts.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`)

func absolute(path string) error {
	if !strings.HasPrefix(path, "/") {
		return invalid("path %q is not absolute", path)
	}
	return nil
}
