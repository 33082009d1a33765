package labcli

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
)

// TestCleanStandsAlone: who names a part of the lab beside -clean may not expect that all of
// it goes.
func TestCleanStandsAlone(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	for leave, args := range map[string][]string{"-only and -keep": {"-only", "one", "-keep"}, "-plan": {"-plan"}} {
		messages, err := os.Create(filepath.Join(t.TempDir(), "messages"))
		if err != nil {
			t.Fatal(err)
		}
		defer messages.Close()
		p := &Program{
			Name:   "prog",
			Config: func() lab.Config { return lab.Config{Zone: "test"} },
			Machines: func() []Machine {
				return []Machine{{Machine: lab.Machine{Name: "one"}, Stages: []stage.Stage{{Name: "first"}}}}
			},
			Flags: func(*flag.FlagSet) {}, Check: func(*lab.Options) error { return nil },
			Secret: func(string) func(context.Context, string) ([]byte, error) { return nil },
		}
		status := p.Exec(t.Context(), append([]string{"-state", state, "-clean"}, args...), os.Stdout, messages)
		said, err := os.ReadFile(messages.Name())
		want := "prog: -clean removes everything and does nothing else: leave " + leave + " out; see prog -h\n"
		if status != cli.Misused || err != nil || string(said) != want {
			t.Errorf("status %d, %q, %v", status, said, err)
		}
	}
	if _, err := os.Stat(state); err == nil || !strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("it began: %v", err)
	}
}
