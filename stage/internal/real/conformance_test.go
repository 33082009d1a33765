package real

import (
	"context"
	"fmt"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

func TestConformance(t *testing.T) {
	t.Run("volume", func(t *testing.T) {
		plan := stage.Plan{Name: "conform"}
		for i := range 10 { // more than the suite opens
			plan.Setups = append(plan.Setups, stage.Setup{Machine: fmt.Sprintf("v%d", i)})
		}
		s := newSite(t, 4<<30, plan)
		n := 0
		stagetest.TestVolume(t, func(t *testing.T) (stage.Volume, func() string) {
			name := plan.Setups[n].Machine
			n++
			return s.fresh(name).Volume, func() string { return s.tree(name, "") }
		})
	})
	t.Run("machine", func(t *testing.T) {
		s := newSite(t, 4<<30, stage.Plan{Name: "conform", Setups: []stage.Setup{{Machine: "m"}}})
		m := s.fresh("m").Machine
		stagetest.TestMachine(t, func(*testing.T) stage.Machine { return m })
	})
}

// fresh returns what a setup is carried out on, with the tree of the base.
func (s *site) fresh(machine string) stage.Target {
	s.t.Helper()
	target := s.opts.Targets[machine]
	s.must(target.Volume.(stage.Resetter).Reset(context.Background()))
	return target
}
