package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

// webStages are those of web, which the contestants' sites are on.
func webStages(Payload) []stage.Stage {
	return []stage.Stage{{
		Name:   "boot",
		Doc:    "The machine is up, and so is gw.",
		Needs:  []string{MachineGW + "/last"},
		Checks: []stage.Check{check.UnitActive{Name: "systemd-networkd.service"}},
	}}
}
