package prolo

import (
	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
)

// Lab is a lab with its stages.
type Lab struct {
	*lab.Lab
	Stages  *stage.Lab
	Command *cli.Command

	targets   map[string]stage.Target
	survivors *survivors
}

// options are those of the stages.
func (l *Lab) options() stage.Options {
	o := l.Command.Options(stage.Options{
		StateDir: l.StageDir(), Targets: l.targets, Parallel: 2 * len(l.targets), KeepFailed: l.Instant(),
		Shell: l.Shell, Secret: secret(l.State), Logger: l.Logger,
	})
	show := o.Events
	o.Events = func(e stage.Event) {
		show(e)
		l.survivors.event(e)
	}
	return o
}
