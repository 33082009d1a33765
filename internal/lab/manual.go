package lab

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// WriteManual writes how a person would make the network, and for each machine its
// root and the command that starts it. It looks at nothing on the host, needs no
// privileges, and always writes the same.
func (c *Config) WriteManual(w io.Writer) error {
	wires, err := c.network(false).Manual()
	if err != nil {
		return err
	}
	base := path.Join(machinesDir, baseVolume)
	fmt.Fprintf(w, manualHost, wires, base, strings.Join(c.Base.Packages, " "))
	for i := range c.Machines {
		c.writeMachine(w, &c.Machines[i], base)
	}
	_, err = io.WriteString(w, manualStages)
	return err
}

func (c *Config) writeMachine(w io.Writer, m *Machine, base string) {
	root := path.Join(machinesDir, m.Name)
	if m.Boots != nil {
		root = path.Join(machinesDir, m.Boots.Machine, m.Boots.Path)
	}
	config := c.config(m, root, false)
	if m.Boots != nil {
		fmt.Fprintf(w, "The machine %s, on the tree of another, when that is there:\n\n%s\n\n", m.Name, config.CommandLine())
		return
	}
	fmt.Fprintf(w, manualMachine, m.Name, base, root, config.Hostname, config.CommandLine())
}

// manualHost is all that is typed on the host before there is a machine.
const manualHost = `The same by hand, as root. On the host, the network:

%[1]s
and a root directory with Arch Linux in it, on btrfs:

btrfs subvolume create %[2]s
pacstrap -c %[2]s %[3]s
systemctl --root=%[2]s enable sshd systemd-networkd systemd-timesyncd

`

const manualMachine = `The machine %[1]s, in a terminal of its own:

btrfs subvolume snapshot %[2]s %[3]s
rm -f %[3]s/etc/machine-id
echo %[4]s >%[3]s/etc/hostname
%[5]s

`

// manualStages is how a stage ends.
const manualStages = `After each stage below, power the machine off, keep a snapshot, and start it again:

btrfs subvolume snapshot -r ` + machinesDir + `/MACHINE ` + machinesDir + `/MACHINE.STAGE

`
