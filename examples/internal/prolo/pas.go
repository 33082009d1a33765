package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

// pasStages are those of a contestant's diskless machine.
func pasStages(Payload) []stage.Stage {
	return []stage.Stage{{
		Name:   "boot",
		Doc:    "The machine is up on the root that rhfs0 has for it.",
		Needs:  []string{MachineRHFS + "/boot"},
		Checks: []stage.Check{check.FilePresent{Path: "/etc/os-release"}},
	}}
}
