package prolo

import (
	"context"
	"fmt"
	"slices"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
)

// machines are the program's own and those that it needs, these first.
func (p *Program) machines() []machine {
	return slices.DeleteFunc(machines(p.payload), func(m machine) bool {
		return p.Machine != "" && m.Name != p.Machine && !slices.Contains(p.others(), m.Name)
	})
}

// others are the machines that the program's own needs.
func (p *Program) others() []string {
	for _, m := range machines(p.payload) {
		if m.Name == p.Machine {
			return m.needs
		}
	}
	return nil
}

func (p *Program) plan() stage.Plan {
	plan := stage.Plan{Name: Zone}
	for _, m := range p.machines() {
		plan.Setups = append(plan.Setups, stage.Setup{Machine: m.Name, Stages: m.stages(p.payload)})
	}
	return plan
}

// checkNeeds refuses to set up another machine on the way unless it was asked for, and a
// machine that exports files on storage where it cannot.
func (p *Program) checkNeeds(ctx context.Context, l *Lab) error {
	handles := l.FileHandles()
	if handles && (p.needs || len(p.others()) == 0) {
		return nil
	}
	decisions, err := l.Stages.Preview(ctx, l.Command.Steering())
	if err != nil {
		return err
	}
	for _, d := range decisions {
		if d.Action == "run" && d.Machine != p.Machine && !p.needs && p.Machine != "" {
			name := hostname(d.Machine)
			return cli.Host(fmt.Errorf("%s is not set up: its stage %s would have to run (%s): run %s first, or %s -needs", d.Machine, d.Stage, d.Why, name, p.Name))
		}
		if d.Action != "not wanted" && !handles && p.exports(d.Machine) {
			return cli.Host(fmt.Errorf("%s exports files by NFS, which needs file handles, and the trees in %s have none: "+
				"leave -store and -driver out, for a btrfs pool, or choose -driver copy", d.Machine, l.StoreDir()))
		}
	}
	return nil
}

func (p *Program) exports(name string) bool {
	return slices.ContainsFunc(p.machines(), func(m machine) bool { return m.Name == name && m.exports })
}
