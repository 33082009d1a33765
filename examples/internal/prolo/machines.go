package prolo

import (
	"net/netip"
	"strings"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/internal/lab/labcli"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/nspawn"
)

// machines are those of the finals, each after those that it needs, and light ones.
func machines(p Payload) []labcli.Machine {
	list := []labcli.Machine{
		{
			Machine: lab.Machine{Name: MachineGW, Addresses: addresses(UplinkAddress, LANAddress, AlienAddress)},
			Stages:  gwStages(p),
			Keep:    "curl -H 'Host: mdb' http://" + UplinkAddress + "/call/query, dig @" + UplinkAddress + " gw." + Domain,
		},
		{
			Machine: lab.Machine{
				Name: MachineRHFS, After: MachineGW, Announce: rhfs0.announce(p), Addresses: addresses(rhfs0.ip),
				// For the NFS server in user space.
				Config: nspawn.Config{SystemCallFilter: []string{"open_by_handle_at", "name_to_handle_at"}},
			},
			Stages:  rhfsStages(p),
			Needs:   []string{MachineGW},
			Exports: true,
		},
		{
			Machine: lab.Machine{Name: MachineWeb, After: MachineGW, Announce: web.announce(p), Addresses: addresses(web.ip)},
			Stages:  webStages(p),
			Needs:   []string{MachineGW},
		},
		{
			Machine: lab.Machine{
				Name: MachinePas, After: MachineGW, Announce: pas.announce(p), Addresses: addresses(pas.ip),
				Boots:  &lab.Tree{Machine: MachineRHFS, Path: "/export/nfsroot_ro"},
				Config: nspawn.Config{ReadOnly: true, Tmpfs: pasTmpfs(p), Devices: []string{"/dev/fuse", "-/dev/nbd0"}},
			},
			Stages: pasStages(p),
			Needs:  []string{MachineGW, MachineRHFS},
		},
	}
	list = append(list, contestants(p)...)
	for i := range list {
		list[i].Config.Hostname = hostname(list[i].Name)
		list[i].Config.SuppressSync = true
		if list[i].Boots == nil {
			list[i].Config.Overlays = p.overlays()
		}
	}
	return list
}

// addresses parses constants.
func addresses(list ...string) (parsed []netip.Addr) {
	for _, address := range list {
		parsed = append(parsed, netip.MustParseAddr(address))
	}
	return parsed
}

// pasTmpfs is what a contestant's machine forgets when it is switched off.
func pasTmpfs(p Payload) []nspawn.Tmpfs {
	list := []nspawn.Tmpfs{{Target: "/var/tmp", Options: "mode=1777"}}
	dirs := []string{"/home", "/var/log", "/var/spool/mail", "/var/lib/isolate"}
	if p.Generation == "2018" {
		dirs = append(dirs, "/var/lib/sddm")
	} else {
		dirs = append(dirs, "/var/lib/lightdm", "/var/lib/lightdm-data")
	}
	for _, dir := range dirs {
		list = append(list, nspawn.Tmpfs{Target: dir, Options: "mode=0755"})
	}
	return list
}

// config is the lab but for its machines.
func config(p Payload) lab.Config {
	c := lab.Config{
		Zone:   Zone,
		Prefix: netip.MustParsePrefix(HostAddress + "/24"),
		Base: archboot.Config{
			// Those of the document's own bootstrap script.
			Packages: []string{"base", "vim", "openssh", "rxvt-unicode-terminfo", "bind-tools"},
			Locale:   "en_US.UTF-8", TimeZone: "Europe/Paris",
			NTP: []string{"ntp." + Domain},
		},
		AddOns:  AddOns(),
		Records: []string{standInDir, secretFile, picturesDir},
	}
	if p.VM {
		c.Needs = syspkg.VM()
	}
	return c
}

// hostname is what a machine calls itself: the host knows gw as mygw.
func hostname(machine string) string {
	return strings.TrimSuffix(strings.TrimPrefix(machine, "my"), "."+Domain)
}
