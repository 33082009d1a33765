// Package step has the steps that stages are made of.
//
// A step is a plain value. It can be printed as what a person would type, it adds
// what it does to its stage's key, and it runs by commands in the machine, with the
// programs that any distribution has: sh, cat, tar, systemctl.
//
// Every field named Secret holds the name of a secret, never its value.
package step

import (
	"context"
	"fmt"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/human"
)

func typed(format string, args ...any) []stage.Line {
	return []stage.Line{{Text: fmt.Sprintf(format, args...)}}
}

// firstLine shortens a text for people.
func firstLine(s string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if cut := human.Cut(line, 60); cut != line || rest == "" {
		return cut
	}
	return line + "…"
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{stage.ErrInvalid}, args...)...)
}

func absolute(what, path string) error {
	if !strings.HasPrefix(path, "/") {
		return invalid("%s %q is not absolute", what, path)
	}
	return nil
}

// run runs a command whose output goes to the log.
func run(ctx context.Context, s *stage.Session, args ...string) error {
	return s.Exec(ctx, stage.Command{Args: args})
}
