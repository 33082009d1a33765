package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/stage"
)

// TestTerminalIsFree: what is done with the flags has no picture left that would be drawn
// over a shell, whether it goes well or not, and lines of others get to the same place.
func TestTerminalIsFree(t *testing.T) {
	t.Parallel()
	messages, err := os.Create(filepath.Join(t.TempDir(), "messages"))
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Close()
	plan := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "gw"}}}
	c := &Command{Messages: messages, plan: plan, program: &Program{}, output: &output{}}
	c.Restore = "never"
	lab, err := stage.Open(plan, stage.Options{StateDir: filepath.Join(t.TempDir(), "state")})
	if err != nil {
		t.Fatal(err)
	}
	c.event(stage.Event{Kind: stage.EventNote, Text: "one"})
	fmt.Fprintln(c.Lines(), "two")
	if err := c.Do(t.Context(), lab); err == nil {
		t.Fatal("a checkpoint that there is not was restored")
	}
	if c.output.showing() != nil {
		t.Error("the terminal is still in use")
	}
	fmt.Fprintln(c.Lines(), "three")
	if got, err := os.ReadFile(messages.Name()); err != nil || string(got) != "note: one\ntwo\nthree\n" {
		t.Errorf("%q, %v", got, err)
	}
}
