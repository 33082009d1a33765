package prolo

import (
	"fmt"
	"io"
	"path"

	"github.com/prologin/rig/stage"
)

// WritePlan prints how a person would do by hand what a run does. It looks at
// nothing on the host and needs no privileges.
func WritePlan(out io.Writer, f *Flags, setup stage.Setup) error {
	if err := f.checkStages(setup); err != nil {
		return err
	}
	wires, err := network(false).Manual()
	if err != nil {
		return err
	}
	config := machineConfig(setup.Machine, path.Join(machinesDir, setup.Machine))
	fmt.Fprintf(out, manualHead, wires, config.Root, hostname(setup.Machine), basePackages(), config.CommandLine())
	return plan(setup).WriteManual(out)
}

// manualHead is all that is typed on the host; a snapshot stands for what a stage
// ends with.
const manualHead = `The same by hand, as root. On the host, the network:

%[1]s
a root directory with Arch Linux in it (on btrfs, make it a subvolume):

mkdir -p %[2]s
pacstrap -c %[2]s %[4]s
echo %[3]s >%[2]s/etc/hostname
systemctl --root=%[2]s enable sshd systemd-networkd systemd-timesyncd

and the machine, in a terminal of its own:

%[5]s

After each stage below, power the machine off, keep a snapshot, and start it again:

btrfs subvolume snapshot -r %[2]s %[2]s.STAGE

`
