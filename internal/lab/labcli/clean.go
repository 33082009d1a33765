package labcli

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"golang.org/x/term"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

// Clean returns the program that removes a lab: it lists what is there, asks, removes
// it, and looks again. What is foreign is asked about one by one, and stays if there
// is nobody to ask.
func Clean(text string, config lab.Config) *Tool {
	var yes bool
	return &Tool{
		Name: "clean", Text: text, Config: config,
		Flags: func(fs *flag.FlagSet) { fs.BoolVar(&yes, "yes", false, "do not ask before removing what is the lab's") },
		Run: func(ctx context.Context, c *cli.Command, config lab.Config, o lab.Options) error {
			return clean(ctx, c, config, o, yes)
		},
	}
}

func clean(ctx context.Context, c *cli.Command, config lab.Config, o lab.Options, yes bool) error {
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
	if ours > 0 && !yes && !ask(ctx, c, fmt.Sprintf("remove these %d?", ours)) {
		return errors.New("nothing was removed; -yes does not ask")
	}
	left, err := lab.CleanAll(ctx, config, o, func(i lab.Item) bool { return ask(ctx, c, fmt.Sprintf("not ours: remove the %s %s?", i.Kind, i.Name)) })
	if err != nil {
		return err
	}
	for _, item := range left {
		fmt.Fprintf(c.Out, "  left: %v\n", item)
	}
	if err := lab.Left(left); err != nil {
		return fmt.Errorf("looked again: %w", err)
	}
	fmt.Fprintf(c.Out, "looked again: 0 machines, networks, volumes, pools, mounts, loop devices and files of the lab; of others: %d\n", len(left))
	return nil
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
