package labcli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
)

// Program sets up a machine of a lab and checks those that it needs.
type Program struct {
	// Name is what it is called, Text what -h says of it.
	Name, Text string

	// Machine is the one that it sets up; empty is all of them.
	Machine string

	// Config describes the lab but for its machines, which Machines lists, each after those
	// that it needs. They are called before the flags are read, too.
	Config   func() lab.Config
	Machines func() []Machine

	// Flags registers flags of its own, Check checks them, beside the lab's options, and
	// Before is called when the lab is open.
	Flags  func(*flag.FlagSet)
	Check  func(*lab.Options) error
	Before func() error

	// Secret returns what reads the secrets of a lab with that state directory.
	Secret func(state string) func(context.Context, string) ([]byte, error)

	// After is called when all that was asked for is done and the machines are still up. It
	// may be nil.
	After func(context.Context, *stage.Lab) error

	options      lab.Options
	clean, needs bool
	forks        uint
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
		Title: "This host and the payload", Flags: p.register,
		Check: func() error { return errors.Join(p.options.Complete(), p.Check(&p.options)) },
		Plan:  func() (stage.Plan, error) { return p.plan(), nil },
		Records: func() stage.Options {
			return stage.Options{StateDir: p.options.StageDir(), Secret: p.Secret(p.options.State)}
		},
		Manual: p.writeManual,
		Run:    p.run,
	}
}

func (p *Program) writeManual(w io.Writer) error {
	if p.clean {
		return p.alone("-plan")
	}
	c := p.config(p.machines())
	return c.WriteManual(w)
}

// alone is what is wrong with other flags beside -clean.
func (p *Program) alone(others ...string) error {
	return cli.Usage(fmt.Errorf("-clean removes everything and does nothing else: leave %s out; see %s -h", strings.Join(others, " and "), p.Name))
}

func (p *Program) register(fs *flag.FlagSet) {
	fs.BoolVar(&p.clean, "clean", false, "remove everything that the lab made on this host, and do nothing else")
	if len(p.others()) > 0 {
		fs.BoolVar(&p.needs, "needs", false, "set up first what it needs: "+strings.Join(p.others(), ", "))
	}
	if p.Machine == "" {
		fs.UintVar(&p.forks, "fork", 0, "in the end check this `number` of copies of the lab side by side, each on a network of its own, and remove them")
	}
	p.options.Register(fs)
	p.Flags(fs)
}

// run opens the lab, does what the flags ask for, and closes it.
func (p *Program) run(ctx context.Context, c *cli.Command) (err error) {
	if asked := c.Asked(); p.clean && asked != nil {
		return p.alone(asked...)
	}
	p.options.Keep = c.Keep || c.KeepFailed()
	listen(c, &p.options)
	config := p.config(p.Machines())
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
	if err := p.Before(); err != nil {
		return err
	}
	plan := withAlive(p.plan())
	targets, err := l.Targets(ctx, &plan)
	if err != nil {
		return err
	}
	run := &run{Lab: l, command: c, targets: targets, secret: p.Secret(l.State), survivors: newSurvivors()}
	c.Verify = func(ctx context.Context) error { return run.survivors.check(ctx, plan, targets) }
	if run.stages, err = stage.Open(plan, run.options()); err != nil {
		return err
	}
	return p.do(ctx, run)
}

func (p *Program) do(ctx context.Context, r *run) (err error) {
	if err := p.checkNeeds(ctx, r); err != nil {
		return err
	}
	if !r.command.Keep {
		// In good order, so that the next run need not restore what is as it should be.
		defer func() {
			if ctx.Err() == nil && (err == nil || !r.command.KeepFailed()) {
				err = errors.Join(err, r.stages.PowerOff(ctx))
			}
		}()
	}
	if err := r.command.Do(ctx, r.stages); err != nil {
		return err
	}
	if err := r.checkForks(ctx, int(p.forks)); err != nil {
		return err
	}
	if p.After != nil {
		if err := p.After(ctx, r.stages); err != nil {
			return err
		}
	}
	if r.command.Shell {
		if err := r.Shell(ctx, r.command.ShellMachine()); err != nil {
			return err
		}
	}
	if !r.command.Keep {
		return nil
	}
	for _, m := range p.machines() {
		if m.Name == p.Machine && m.Keep != "" {
			r.command.Say("it goes on: %s, %s -keep -shell; %s -clean ends it", m.Keep, p.Name, p.Name)
		}
	}
	return nil
}
