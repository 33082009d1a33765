package prolo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// Lab is a lab with its stages.
type Lab struct {
	*lab.Lab
	Stages  *stage.Lab
	Command *cli.Command

	targets map[string]stage.Target
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

func (p *Program) register(fs *flag.FlagSet) {
	fs.BoolVar(&p.clean, "clean", false, "remove everything that the lab made on this host, and do nothing else")
	if len(p.others()) > 0 {
		fs.BoolVar(&p.needs, "needs", false, "set up first what it needs: "+strings.Join(p.others(), ", "))
	}
	fs.StringVar(&p.payload.Dir, "sadm", "", "install the checkout of prologin-sadm in `dir`; default: a stand-in for it")
	fs.StringVar(&p.payload.Generation, "generation", "2019", "expect the payload's paths of that `year`, 2018 or 2019")
	fs.BoolVar(&p.payload.Bind, "bind", false, "show the checkout in the machines rather than copy it")
	if p.Machine == MachinePas {
		fs.BoolVar(&p.payload.VM, "vm", false, "boot a virtual machine over the network, too; pictures of its screen are kept in the state directory's vm")
	}
	p.options.Register(fs)
	if p.Machine == "" {
		fs.IntVar(&p.payload.Contestants, "contestants", 0, "add this `number` of light machines, which get an address and a name and report in")
	}
	if p.Flags != nil {
		p.Flags(fs)
	}
}

func (p *Program) check() error {
	if n := p.payload.Contestants; n < 0 || n > MaxContestants {
		return fmt.Errorf("-contestants %d: there is room for %d", n, MaxContestants)
	}
	err := errors.Join(cli.OneOf("generation", p.payload.Generation, "2018", "2019"), p.payload.Validate(), p.options.Complete())
	if p.ownSADM = p.payload.Dir == ""; p.ownSADM {
		p.payload.Dir = standIn(p.options.State)
	}
	mirror := "http://" + HostAddress + ":" + lab.MirrorPort
	if strings.Contains(p.options.Mirror, "://") {
		mirror = strings.TrimRight(p.options.Mirror, "/")
	}
	p.payload.Internet = mirror + "/core/os/x86_64/core.db"
	p.payload.Pictures = filepath.Join(p.options.State, picturesDir)
	return err
}

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
	plan := p.plan()
	targets, err := l.Targets(ctx, &plan)
	if err != nil {
		return err
	}
	stages, err := stage.Open(plan, c.Options(stage.Options{
		StateDir: l.StageDir(), Targets: targets, Parallel: 2 * len(targets), KeepFailed: l.Instant(),
		Shell: l.Shell, Secret: secret(l.State), Logger: l.Logger,
	}))
	if err != nil {
		return err
	}
	return p.do(ctx, &Lab{l, stages, c, targets})
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
		if err := l.Shell(ctx, p.Machine); err != nil {
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

// checkNeeds refuses to set up another machine on the way unless it was asked for.
func (p *Program) checkNeeds(ctx context.Context, l *Lab) error {
	if p.needs || len(p.others()) == 0 {
		return nil
	}
	decisions, err := l.Stages.Preview(ctx, l.Command.Steering())
	if err != nil {
		return err
	}
	for _, d := range decisions {
		if d.Machine != p.Machine && d.Action == "run" {
			name := hostname(d.Machine)
			return cli.Host(fmt.Errorf("%s is not set up: its stage %s would have to run (%s): run %s first, or %s -needs", d.Machine, d.Stage, d.Why, name, p.Name))
		}
	}
	return nil
}
