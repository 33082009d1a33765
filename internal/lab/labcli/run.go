package labcli

import (
	"context"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
)

// run is one run of a program: an open lab with its stages.
type run struct {
	*lab.Lab
	stages  *stage.Lab
	command *cli.Command

	targets   map[string]stage.Target
	secret    func(context.Context, string) ([]byte, error)
	survivors *survivors
}

// options are those of the stages.
func (r *run) options() stage.Options {
	o := r.command.Options(stage.Options{
		StateDir: r.StageDir(), Targets: r.targets, Parallel: 2 * len(r.targets), KeepFailed: r.Instant(),
		Shell: r.Shell, Secret: r.secret, Logger: r.Logger,
	})
	show := o.Events
	o.Events = func(e stage.Event) {
		show(e)
		r.survivors.event(e)
	}
	return o
}
