package labcli

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

// Host returns the program that makes a host ready for a lab, or, with -check, tells
// what keeps it from being so.
func Host(text string, config lab.Config) *Tool {
	var check bool
	return &Tool{
		Name: "host", Text: text, Config: config,
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&check, "check", false, "look at everything that the lab depends on, and change nothing")
		},
		Run: func(ctx context.Context, c *cli.Command, config lab.Config, o lab.Options) error {
			if check {
				return doctor(ctx, c, config, o)
			}
			return lab.Prepare(ctx, config, o)
		},
	}
}

func doctor(ctx context.Context, c *cli.Command, config lab.Config, o lab.Options) error {
	findings, err := lab.Doctor(ctx, config, o)
	if err != nil {
		return err
	}
	missing := 0
	for _, f := range findings {
		if f.Err != nil && f.Needed {
			missing++
		}
		if c.Quiet && f.Err == nil {
			continue
		}
		fmt.Fprintf(c.Out, "%-3s  %-26s %s\n", f.Answer(), f.Topic, f.Detail)
		if f.Err != nil && f.Remedy != "" {
			fmt.Fprintf(c.Out, "     %-26s → %s\n", "", f.Remedy)
		}
	}
	if missing > 0 {
		return cli.Host(errors.New("this host lacks what the lab needs: see above"))
	}
	return nil
}
