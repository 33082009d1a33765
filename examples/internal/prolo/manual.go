package prolo

import (
	"context"
	"fmt"
	"io"
	"path"

	"github.com/prologin/rig/stage"
)

// WritePlan prints how a person would do by hand what a run does.
func WritePlan(ctx context.Context, out io.Writer, f *Flags, setup stage.Setup) error {
	lab, err := stage.Open(plan(setup), stage.Options{})
	if err != nil {
		return err
	}
	config := machineConfig(setup.Machine, path.Join(machinesDir, setup.Machine))
	fmt.Fprintf(out, "# On the host, as root: a network, a root made of Arch packages, and the machine.\n")
	fmt.Fprintf(out, "%s\n", config.CommandLine())
	return lab.WritePlan(ctx, out, f.Steering())
}
