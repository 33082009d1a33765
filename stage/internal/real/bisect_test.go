package real

import (
	"context"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// TestBisect plants a fault in one of seven stages.
func TestBisect(t *testing.T) {
	plan := walkPlan("/etc/hostname")
	plan.Setups = plan.Setups[:1]
	plan.Setups[0].Stages = plan.Setups[0].Stages[:2]
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		text := "echo " + name + " >>/srv/log"
		if name == "c" {
			text += "; chmod 0 /srv/serve; ln -sf /dev/null /srv/serve" // nobody notices
		}
		plan.Setups[0].Stages = append(plan.Setups[0].Stages, stage.Stage{Name: name, Steps: []stage.Step{step.Script{Text: text}}})
	}
	for i := range plan.Setups[0].Stages {
		plan.Setups[0].Stages[i].CheckTimeout = time.Second
	}
	s := newSite(t, 4<<30, plan)
	s.run(stage.Steering{}, "gw/network", "gw/hello", "gw/a", "gw/b", "gw/c", "gw/d", "gw/e")
	before := len(s.kinds(stage.EventRestored))
	// It must hold at the beginning, where there is no server yet.
	works := check.Run("sh", "-c", "[ ! -e /srv/serve ] || [ -s /srv/serve ]")
	got, err := s.open().Bisect(context.Background(), "gw", works)
	if err != nil || got != "c" {
		t.Errorf("found %q, %v", got, err)
	}
	if n := len(s.kinds(stage.EventRestored)) - before; n > 3 { // ⌈log₂ 7⌉
		t.Errorf("%d restores", n)
	}
}
