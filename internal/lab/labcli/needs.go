package labcli

import (
	"context"
	"fmt"
	"slices"

	"github.com/prologin/rig/stage/cli"
)

// checkNeeds refuses to set up another machine on the way unless it was asked for, and a
// machine that exports files on storage where it cannot.
func (p *Program) checkNeeds(ctx context.Context, r *run) error {
	handles := r.FileHandles()
	if handles && (p.needs || len(p.others()) == 0) {
		return nil
	}
	decisions, err := r.stages.Preview(ctx, r.command.Steering())
	if err != nil {
		return err
	}
	for _, d := range decisions {
		m := p.machine(d.Machine)
		if d.Action == "run" && d.Machine != p.Machine && !p.needs && p.Machine != "" {
			return cli.Host(fmt.Errorf("%s is not set up: its stage %s would have to run (%s): run %s first, or %s -needs",
				d.Machine, d.Stage, d.Why, m.Config.Hostname, p.Name))
		}
		if d.Action != "not wanted" && !handles && m.Exports {
			return cli.Host(fmt.Errorf("%s exports files by NFS, which needs file handles, and the trees in %s have none: "+
				"leave -store and -driver out, for a btrfs pool, or choose -driver copy", d.Machine, r.StoreDir()))
		}
	}
	return nil
}

// machine returns the machine of that name, which is one of the program's.
func (p *Program) machine(name string) Machine {
	list := p.machines()
	return list[slices.IndexFunc(list, func(m Machine) bool { return m.Name == name })]
}
