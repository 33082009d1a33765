package lab

import (
	"context"
	"net/netip"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
)

// Config says what a lab consists of. It is plain data, the same on every host.
type Config struct {
	// Zone names the lab's network; its bridge is vz-ZONE. At most 12 bytes.
	Zone string

	// Prefix is the host's address on the bridge, with the subnet's length.
	Prefix netip.Prefix

	// Isolated leaves the network without a way out of the host.
	Isolated bool

	// Base is the root that machines are cloned from. Where packages come from is
	// filled in by [Open].
	Base archboot.Config

	// AddOns are the packages that the embedded mirror is to have beyond its own.
	AddOns []string

	// Needs are system packages that the program needs beyond those of every lab.
	Needs []syspkg.Need

	// Records are names of files and directories that the program keeps in the lab's
	// state directory, for [Clean] to remove.
	Records []string

	// Machines are all that may be on the lab's network, needed this time or not.
	Machines []Machine
}

// Machine describes one machine of a lab.
type Machine struct {
	// Name is what the host calls it, and the name of its volume.
	Name string

	// Config is how it is started. Name, Root, Network and MachineID are filled in;
	// an empty Hostname means Name.
	Config nspawn.Config

	// Addresses are those that it is going to have on the bridge. While it boots it is asked
	// whether somebody else has one, which is a [*TakenError].
	Addresses []netip.Addr

	// Boots, if set, is the tree that the machine boots from in place of a clone of
	// the base. Such a machine is started when it is first used, by when that tree
	// has to be there, and its own volume stays empty.
	Boots *Tree

	// After names a machine that has to be up before this one boots, and Announce is
	// called then, before each boot, with what runs a command there: what a machine
	// once left in another is gone when that went back to a snapshot.
	After    string
	Announce func(ctx context.Context, exec func(context.Context, stage.Command) error) error
}

// Tree is a directory of another machine of the lab.
type Tree struct {
	// Machine is the other's name, Path the directory in it.
	Machine, Path string
}

// Bridge returns the name of the lab's bridge.
func (c *Config) Bridge() string { return netsetup.Zone{Name: c.Zone}.Bridge() }

// machine returns the machine of that name, or nil.
func (c *Config) machine(name string) *Machine {
	for i := range c.Machines {
		if c.Machines[i].Name == name {
			return &c.Machines[i]
		}
	}
	return nil
}

// masked are units that only hold a machine up: no address comes before a stage has
// configured one, and nobody is there to be asked for a password. Each path unit takes
// one of the inotify instances that all of the host's machines share, 128 by default.
var masked = []string{
	"systemd-networkd-wait-online.service",
	"systemd-ask-password-console.path", "systemd-ask-password-wall.path",
}

// config completes what a machine is started with.
func (c *Config) config(m *Machine, root string, zoned bool) nspawn.Config {
	config := m.Config
	config.Name, config.Root = m.Name, root
	if config.Hostname == "" {
		config.Hostname = m.Name
	}
	if config.Network.Bridge == "" && config.Network.Zone == "" {
		if zoned {
			config.Network.Zone = c.Zone
		} else {
			config.Network.Bridge = c.Bridge()
		}
	}
	if config.Network.MAC == nil {
		config.Network.MAC = netsetup.MAC(c.Bridge(), m.Name)
	}
	config.KernelCommandLine = append(nspawn.MaskUnits(masked...), config.KernelCommandLine...)
	return config
}
