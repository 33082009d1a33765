package labcli

import (
	"context"
	"flag"
	"log/slog"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

// Tool is a program that works on a lab as a whole and runs no stages.
type Tool struct {
	// Name is what it is called, Text what -h says of it.
	Name, Text string
	// Config is the lab, with all machines that there may be.
	Config lab.Config
	// Flags registers flags of its own. It may be nil.
	Flags func(*flag.FlagSet)
	// Run does it.
	Run func(context.Context, *cli.Command, lab.Config, lab.Options) error

	options lab.Options
}

// Main runs the tool and returns its exit status.
func (t *Tool) Main() int {
	return cli.Main(cli.Program{
		Name: t.Name, Text: t.Text, Title: "This host", Flags: t.register, Check: t.options.Complete, Run: t.run,
	})
}

func (t *Tool) register(fs *flag.FlagSet) {
	t.options.Register(fs)
	if t.Flags != nil {
		t.Flags(fs)
	}
}

func (t *Tool) run(ctx context.Context, c *cli.Command) error {
	listen(c, &t.options)
	return t.Run(ctx, c, t.Config, t.options)
}

// listen has the lab tell what it does.
func listen(c *cli.Command, o *lab.Options) {
	if !c.Quiet {
		o.Out = c.Lines()
	}
	if c.Verbose {
		o.Logger = slog.New(slog.NewTextHandler(c.Lines(), nil))
	}
}
