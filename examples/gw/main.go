// Gw boots Prologin's gw machine in a container on a private network and sets it
// up stage by stage. Run it with -h for what else it can do.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/prologin/rig/examples/internal/prolo"
)

func main() { prolo.Main("gw", run) }

func run(ctx context.Context, flags *prolo.Flags) (err error) {
	setup := prolo.GW()
	switch {
	case flags.Plan:
		return prolo.WritePlan(os.Stdout, flags, setup)
	case flags.Clean:
		return prolo.Clean(ctx, flags, setup, os.Stderr)
	}
	lab, err := prolo.Open(ctx, flags, setup, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close(ctx)) }()
	if err := lab.Run(ctx); err != nil || !flags.Shell {
		return err
	}
	return lab.OpenShell(ctx)
}
