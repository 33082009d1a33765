package real

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/step"
)

// TestFullPool has a step that fills the storage to the last block.
func TestFullPool(t *testing.T) {
	plan := walkPlan("/etc/hostname")
	plan.Setups = plan.Setups[:1]
	stages := plan.Setups[0].Stages[:2]
	last := stage.Stage{Name: "last", Steps: []stage.Step{step.Script{Text: "wc -c </srv/page >/srv/size"}}}
	plan.Setups[0].Stages = append(slices.Clone(stages), stage.Stage{Name: "greedy", Steps: []stage.Step{
		step.Script{Text: "dd if=/dev/urandom of=/srv/big bs=1M"},
	}}, last)
	s := newSite(t, 1<<30, plan)
	_, err := s.open().Run(context.Background(), stage.Steering{})
	if err == nil || !strings.Contains(err.Error(), "No space left on device") || stage.ExitCode(err) != 1 {
		t.Errorf("error %v", err)
	}
	s.plan.Setups[0].Stages = append(slices.Clone(stages), last)
	if _, err := s.open().Run(context.Background(), stage.Steering{}); err != nil {
		// There was no room even to go back. No stage may have been given up for that.
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("error %v", err)
		}
		if err := os.Remove(s.tree("gw", "srv/big")); err != nil {
			t.Fatal(err)
		}
		s.run(stage.Steering{}, "gw/last")
	}
	s.wantFile("gw", "srv/size", "6\n")
	if got := s.output("gw", "systemctl", "is-active", "hello.socket"); got != "active" {
		t.Errorf("the server is %s", got)
	}
}
