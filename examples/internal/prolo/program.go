package prolo

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
)

// Program is one of the examples: it sets up a machine and checks those that it needs.
type Program struct {
	// Name is what it is called, Text what -h says of it.
	Name, Text string

	// Machine is the one that it sets up; empty is all of them.
	Machine string

	// Flags registers flags of its own, and After is called when all that was asked
	// for is done and the machines are still up. Both may be nil.
	Flags func(*flag.FlagSet)
	After func(context.Context, *Lab) error

	options      lab.Options
	payload      Payload
	clean, needs bool
	ownSADM      bool // the payload is the stand-in
}

// Main runs the program and returns its exit status.
func (p *Program) Main() int { return cli.Main(p.cli()) }

// Exec runs the program with the given arguments, as [cli.Program.Exec] does.
func (p *Program) Exec(ctx context.Context, args []string, out, messages *os.File) int {
	return p.cli().Exec(ctx, args, out, messages)
}

func (p *Program) cli() cli.Program {
	return cli.Program{
		Name: p.Name, Text: p.Text, Machine: p.Machine,
		Title: "This host and the payload", Flags: p.register, Check: p.check,
		Plan: func() (stage.Plan, error) { return p.plan(), nil },
		Records: func() stage.Options {
			return stage.Options{StateDir: p.options.StageDir(), Secret: secret(p.options.State)}
		},
		Manual: func(w io.Writer) error { c := config(p.machines()); return c.WriteManual(w) },
		Run:    p.run,
	}
}

// run opens the lab, does what the flags ask for, and closes it.
func (p *Program) run(ctx context.Context, c *cli.Command) (err error) {
	p.options.Keep = c.Keep || c.KeepFailed()
	listen(c, &p.options)
	config := config(machines(p.payload))
	if p.payload.VM {
		config.Needs = syspkg.VM()
	}
	if p.clean {
		return lab.Clean(ctx, config, p.options)
	}
	l, err := lab.Open(ctx, config, p.options)
	if err != nil {
		return err
	}
	defer func() {
		l.Keep = c.Keep || err != nil && c.KeepFailed()
		err = errors.Join(err, l.Close(ctx))
	}()
	if p.ownSADM {
		if err := unpack(p.payload.Dir); err != nil {
			return err
		}
	}
	plan := withAlive(p.plan())
	targets, err := l.Targets(ctx, &plan)
	if err != nil {
		return err
	}
	lab := &Lab{Lab: l, Command: c, targets: targets, survivors: newSurvivors()}
	c.Verify = func(ctx context.Context) error { return lab.survivors.check(ctx, plan, targets) }
	if lab.Stages, err = stage.Open(plan, lab.options()); err != nil {
		return err
	}
	return p.do(ctx, lab)
}

func (p *Program) do(ctx context.Context, l *Lab) (err error) {
	if err := p.checkNeeds(ctx, l); err != nil {
		return err
	}
	if !l.Command.Keep {
		// In good order, so that the next run need not restore what is as it should be.
		defer func() {
			if ctx.Err() == nil && (err == nil || !l.Command.KeepFailed()) {
				err = errors.Join(err, l.Stages.PowerOff(ctx))
			}
		}()
	}
	if err := l.Command.Do(ctx, l.Stages); err != nil {
		return err
	}
	if p.After != nil {
		if err := p.After(ctx, l); err != nil {
			return err
		}
	}
	if l.Command.Shell {
		if err := l.Shell(ctx, l.Command.ShellMachine()); err != nil {
			return err
		}
	}
	if !l.Command.Keep {
		return nil
	}
	for _, m := range p.machines() {
		if m.Name == p.Machine && m.keep != "" {
			l.Command.Say("it goes on: %s, %s -keep -shell; %s -clean ends it", m.keep, p.Name, p.Name)
		}
	}
	return nil
}
