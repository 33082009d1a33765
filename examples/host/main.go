// Host makes this host ready for the lab, or tells what keeps it from being so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage/cli"
)

func main() {
	var check bool
	host := prolo.Tool{
		Name: "host", Text: text,
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
	os.Exit(host.Main())
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
		if f.Err != nil {
			fmt.Fprintf(c.Out, "     %-26s → %s\n", "", f.Remedy)
		}
	}
	if missing > 0 {
		return cli.Host(errors.New("this host lacks what the lab needs: see above"))
	}
	return nil
}

const text = `Makes this host ready for the lab: the network vz-prolo with its way out, a place
for the machines' trees with the Arch base that they are cloned from, and the
kernel's network block devices, where it has any. All of it stays until clean
removes it. Every program does as much as it needs of this itself.

  host -check           what the host has and what it lacks, and what to do about it
  host                  make it ready

Needs root; -check can tell less without.`
