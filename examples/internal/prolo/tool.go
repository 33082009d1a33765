package prolo

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"

	"golang.org/x/term"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

// Tool is an example that works on the lab as a whole and runs no stages.
type Tool struct {
	// Name is what it is called, Text what -h says of it.
	Name, Text string
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
	return t.Run(ctx, c, config(machines(Payload{})), t.options)
}

// listen has the lab tell what it does.
func listen(c *cli.Command, o *lab.Options) {
	if !c.Quiet {
		o.Out = c.Messages
	}
	if c.Verbose {
		o.Logger = slog.New(slog.NewTextHandler(c.Messages, nil))
	}
}

// Clean lists what the lab has on this host, asks, removes it, and looks again. With
// yes it does not ask; what is foreign is asked about one by one, and stays if there
// is nobody to ask.
func Clean(ctx context.Context, c *cli.Command, config lab.Config, o lab.Options, yes bool) error {
	items, err := lab.Survey(ctx, config, o)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		fmt.Fprintln(c.Out, "nothing of the lab is on this host")
		return nil
	}
	ours := 0
	for _, item := range items {
		if item.Foreign {
			fmt.Fprintf(c.Out, "  not ours: %v\n", item)
		} else {
			fmt.Fprintf(c.Out, "  %v\n", item)
			ours++
		}
	}
	if !yes && !ask(ctx, c, fmt.Sprintf("remove these %d?", ours)) {
		return errors.New("nothing was removed; -yes does not ask")
	}
	left, err := lab.CleanAll(ctx, config, o, func(i lab.Item) bool { return ask(ctx, c, "not ours: remove the "+i.String()+"?") })
	if err != nil {
		return err
	}
	for _, item := range left {
		fmt.Fprintf(c.Out, "  left: %v\n", item)
	}
	fmt.Fprintf(c.Out, "looked again: 0 machines, networks, volumes, pools, mounts, loop devices and files of the lab; %d things of others stay\n", len(left))
	return lab.Left(left)
}

// ask asks for a yes on the terminal; without one the answer is no.
func ask(ctx context.Context, c *cli.Command, question string) bool {
	if !term.IsTerminal(int(c.In.Fd())) {
		return false
	}
	fmt.Fprintf(c.Messages, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(c.In).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		return strings.HasPrefix(strings.ToLower(line), "y")
	case <-ctx.Done():
		return false
	}
}
