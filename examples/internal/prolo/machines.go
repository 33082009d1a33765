package prolo

import (
	"net/netip"
	"strings"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/stage"
)

// machine is one of the lab's machines: how it is started and which stages it goes
// through.
type machine struct {
	lab.Machine
	stages func(Payload) []stage.Stage
	// needs are the machines whose stages its own need.
	needs []string
	// keep tells what can be done with it when it is left running.
	keep string
}

// machines are those of the finals.
func machines(p Payload) []machine {
	list := []machine{
		{
			Machine: lab.Machine{Name: MachineGW},
			stages:  gwStages,
			keep:    "curl http://" + UplinkAddress + "/, dig @" + UplinkAddress + " gw." + Domain,
		},
	}
	for i := range list {
		list[i].Config.Hostname = hostname(list[i].Name)
		list[i].Config.SuppressSync = true
		list[i].Config.Overlays = append(list[i].Config.Overlays, p.overlays()...)
	}
	return list
}

// config is the lab of the given machines.
func config(list []machine) lab.Config {
	c := lab.Config{
		Zone:   Zone,
		Prefix: netip.MustParsePrefix(HostAddress + "/24"),
		Base: archboot.Config{
			// Those of the document's own bootstrap script.
			Packages: []string{"base", "vim", "openssh", "rxvt-unicode-terminfo", "bind-tools"},
			Locale:   "en_US.UTF-8", TimeZone: "Europe/Paris",
			NTP: []string{"ntp." + Domain},
		},
		AddOns: AddOns(),
	}
	for _, m := range list {
		c.Machines = append(c.Machines, m.Machine)
	}
	return c
}

// hostname is what a machine calls itself: the host knows gw as mygw.
func hostname(machine string) string {
	return strings.TrimSuffix(strings.TrimPrefix(machine, "my"), "."+Domain)
}
