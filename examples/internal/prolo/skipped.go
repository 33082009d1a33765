package prolo

import (
	"context"
	"fmt"

	"github.com/prologin/rig/stage"
)

// skipped is a step of the document that a container does without, and why.
type skipped struct{ command, reason string }

func (s skipped) String() string { return fmt.Sprintf("skipped: %s (%s)", s.command, s.reason) }

// Ingredients adds nothing: nothing is done.
func (s skipped) Ingredients(*stage.Recipe) {}

// Manual returns a remark.
func (s skipped) Manual(string) []stage.Line {
	return []stage.Line{{Text: "# not in a container: " + s.command + "; " + s.reason}}
}

// Run says that it is skipped.
func (s skipped) Run(_ context.Context, session *stage.Session) error {
	_, err := fmt.Fprintln(session.Log(), s)
	return err
}
