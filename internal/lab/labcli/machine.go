package labcli

import (
	"slices"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage"
)

// Machine is one of a lab's machines, with the stages that it goes through.
type Machine struct {
	lab.Machine
	Stages []stage.Stage
	// Needs are the machines whose stages its own need.
	Needs []string
	// Exports is whether it serves files of its tree by NFS.
	Exports bool
	// Keep tells what can be done with it when it is left running.
	Keep string
}

// machines are the program's own and those that it needs, these first.
func (p *Program) machines() []Machine {
	return slices.DeleteFunc(p.Machines(), func(m Machine) bool {
		return p.Machine != "" && m.Name != p.Machine && !slices.Contains(p.others(), m.Name)
	})
}

// others are the machines that the program's own needs.
func (p *Program) others() []string {
	for _, m := range p.Machines() {
		if m.Name == p.Machine {
			return m.Needs
		}
	}
	return nil
}

func (p *Program) plan() stage.Plan {
	plan := stage.Plan{Name: p.Config().Zone}
	for _, m := range p.machines() {
		plan.Setups = append(plan.Setups, stage.Setup{Machine: m.Name, Stages: m.Stages})
	}
	return plan
}

// config is the lab of the given machines.
func (p *Program) config(list []Machine) lab.Config {
	c := p.Config()
	for _, m := range list {
		c.Machines = append(c.Machines, m.Machine)
	}
	return c
}
