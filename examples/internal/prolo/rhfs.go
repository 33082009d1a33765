package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

// rhfsStages are those of rhfs0, which the contestants' roots and homes come from.
func rhfsStages(Payload) []stage.Stage {
	return []stage.Stage{{
		Name:   "boot",
		Doc:    "The machine is up, and so is gw.",
		Needs:  []string{MachineGW + "/last"},
		Checks: []stage.Check{check.UnitActive{Name: "systemd-networkd.service"}},
	}}
}
