package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/prologin/rig/internal/nearest"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// Program is a command line program around a lab.
type Program struct {
	// Name is what it is called.
	Name string

	// Text is what -h says before it lists the flags.
	Text string

	// Machine is the one that the program is about: its stages can be named without
	// it, and it is the one for a shell. Empty is none.
	Machine string

	// Title heads the flags that Flags registers, which are the program's own.
	Title string
	Flags func(*flag.FlagSet)

	// Check reports what is wrong with the program's own flags. It may be nil.
	Check func() error

	// Plan returns the plan. It looks at nothing on the host. It is called after Check.
	// A program without one has no flags but -v, -q and its own.
	Plan func() (stage.Plan, error)

	// Records returns the options by which -plan finds the records of earlier runs, to
	// say what is cached: a StateDir, and Secret if stages have secrets. It is called after
	// Check, and may be nil.
	Records func() stage.Options

	// Manual writes what comes before the plan's own manual. It may be nil.
	Manual func(io.Writer) error

	// Run does what the command line asks for, by means of [Command.Do].
	Run func(context.Context, *Command) error
}

// Main runs the program with the arguments, environment and terminal of the process,
// and returns its exit status. A second Ctrl-C ends the process at once.
func Main(p Program) int {
	if line, ok := os.LookupEnv("COMP_LINE"); ok {
		p.complete(os.Stdout, line)
		return Done
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	return p.Exec(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

// Exec runs the program with the given arguments and returns its exit status. What
// is asked for goes to out, all else to messages. The end of ctx is Ctrl-C.
func (p Program) Exec(ctx context.Context, args []string, out, messages *os.File) int {
	err := p.exec(ctx, args, out, messages)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return Done
	case err != nil && ctx.Err() != nil:
		for _, err := range besides(err) {
			fmt.Fprintf(messages, "%s: %v\n", p.Name, err)
		}
		fmt.Fprintf(messages, "%s: interrupted; run it again to go on\n", p.Name)
		return Interrupted
	case err != nil:
		fmt.Fprintf(messages, "%s: %v\n", p.Name, err)
	}
	return Status(err)
}

func (p *Program) exec(ctx context.Context, args []string, out, messages *os.File) (err error) {
	c := &Command{program: p, Out: out, Messages: messages, In: os.Stdin}
	fs, err := p.parse(&c.Flags, args, messages)
	if err != nil {
		return err
	}
	c.remember(fs)
	if p.Check != nil {
		if err := p.Check(); err != nil {
			return p.usageError(err)
		}
	}
	if p.Plan != nil {
		if c.plan, err = p.Plan(); err != nil {
			return p.usageError(err)
		}
		c.qualify(c.plan, p.Machine)
		if err := c.check(c.plan, p.Machine); err != nil {
			return p.usageError(err)
		}
		if c.Flags.Plan {
			return c.writePlan(ctx, out)
		}
	}
	if err := c.openOutput(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.closeOutput(err)) }()
	return p.Run(ctx, c)
}

// parse reads the command line. The error is [flag.ErrHelp] after -h.
func (p *Program) parse(f *Flags, args []string, messages io.Writer) (*flag.FlagSet, error) {
	fs := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	groups := p.groups(f)
	for _, g := range groups {
		g.register(fs)
	}
	err := Parse(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		p.usage(messages, groups)
		return nil, err
	}
	if err == nil && fs.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q%s", fs.Arg(0), nearest.Hint("-"+fs.Arg(0), flagNames(fs)))
	}
	if err == nil {
		err = errors.Join(empty(fs), f.validate())
	}
	if err != nil {
		return nil, p.usageError(err)
	}
	return fs, nil
}

// Parse reads a command line, for programs that have arguments and so are no
// [Program]. It prints nothing. The error names the flag that is nearest to one that
// does not exist; it is [flag.ErrHelp] after -h.
func Parse(fs *flag.FlagSet, args []string) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if err == nil {
		return nil
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return fmt.Errorf("flag provided but not defined: -%s%s", name, nearest.Hint("-"+name, flagNames(fs)))
	}
	return err
}

// empty reports flags that name a stage, a machine or a checkpoint and were given
// nothing, as by a variable of the shell that is not set.
func empty(fs *flag.FlagSet) error {
	var errs []error
	steering := flag.NewFlagSet("", flag.ContinueOnError)
	new(Flags).registerSteering(steering)
	fs.Visit(func(f *flag.Flag) {
		if steering.Lookup(f.Name) != nil && f.Value.String() == "" {
			errs = append(errs, fmt.Errorf("-%s is empty", f.Name))
		}
	})
	return errors.Join(errs...)
}

func (p *Program) usageError(err error) error {
	return Usage(fmt.Errorf("%w; see %s -h", err, p.Name))
}

func (p *Program) groups(f *Flags) []group {
	groups := f.groups()
	if p.Plan == nil {
		groups = []group{{"What to see", f.registerVerbosity}}
	}
	if p.Flags != nil {
		groups = append(groups, group{p.Title, p.Flags})
	}
	return groups
}

func (p *Program) usage(w io.Writer, groups []group) {
	fmt.Fprintf(w, "usage: %s [flags]\n\n%s\n", p.Name, p.Text)
	for _, g := range groups {
		fmt.Fprintf(w, "\n%s:\n", strings.TrimSuffix(g.title, "."))
		fs := flag.NewFlagSet(p.Name, flag.ContinueOnError)
		fs.SetOutput(w)
		g.register(fs)
		fs.PrintDefaults()
	}
	io.WriteString(w, exitText)
}

const exitText = `
Ctrl-C ends it in good order, so that the next run goes on from there; a second one
ends it at once. Exit status: 0 done, 1 a step or check failed, 2 wrong usage,
3 this host cannot do it, 130 interrupted.
`

func flagNames(fs *flag.FlagSet) (names []string) {
	fs.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return append(names, "-h", "-help")
}

// given lists those flags of a command line that want has, for the lines that tell how to go
// on.
func given(fs *flag.FlagSet, want func(name string) bool) (args []string) {
	fs.Visit(func(f *flag.Flag) {
		if !want(f.Name) {
			return
		}
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() && f.Value.String() == "true" {
			args = append(args, "-"+f.Name)
			return
		}
		args = append(args, "-"+f.Name+"="+shell.Quote(f.Value.String()))
	})
	return args
}

// remember keeps what the lines need that tell how to go on. A run that was to go back does
// not go back again: what it was to replace is on record.
func (c *Command) remember(fs *flag.FlagSet) {
	steering := flag.NewFlagSet("", flag.ContinueOnError)
	new(Flags).registerSteering(steering)
	c.given = given(fs, func(name string) bool {
		return name == "only" || name == "skip" || name != "shell" && steering.Lookup(name) == nil
	})
	c.goal = given(fs, func(name string) bool { return name == "until" || name == "checkpoint" })
}
