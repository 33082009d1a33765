package lab

import (
	"context"
	"errors"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
)

// Targets makes the base, if there is none, and returns what the setups of a plan
// are carried out on. It sets each setup's Base. A first time takes as long as an
// installation; where that fails, the error is a *[HostError]: no stage was tried.
func (l *Lab) Targets(ctx context.Context, plan *stage.Plan) (map[string]stage.Target, error) {
	base, err := l.base(ctx)
	if err != nil {
		return nil, &HostError{err}
	}
	targets := map[string]stage.Target{}
	for i := range plan.Setups {
		m := l.Config.machine(plan.Setups[i].Machine)
		if m == nil {
			return nil, &nspawn.Error{Op: "find", Machine: plan.Setups[i].Machine, Err: nspawn.ErrNotFound}
		}
		plan.Setups[i].Base = base.Key
		targets[m.Name] = stage.Target{
			Machine: l.machine(m),
			Volume:  &volume{Machine: m, lab: l, base: base},
		}
	}
	return targets, nil
}

// Shell gives the user a shell in a machine, on the program's own terminal.
func (l *Lab) Shell(ctx context.Context, name string) error {
	found, err := l.host.Find(ctx, name)
	if err != nil {
		return err
	}
	l.say("a shell in %s; leave it with exit or by pressing ^] three times", name)
	err = found.Shell(ctx, nspawn.ShellOptions{})
	l.say("") // the shell's last line has no end when ^] left it
	var exit *nspawn.ExitError
	if errors.As(err, &exit) {
		return nil // of the shell's last command: no failure of ours
	}
	return err
}
