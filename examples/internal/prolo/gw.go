package prolo

import (
	"net/netip"
	"slices"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// gwStages are the stages of gw, the machine that all others get their addresses,
// names and boot images from.
func gwStages(p Payload) []stage.Stage {
	return slices.Concat(
		gwSystem(p),
		gwMachines(p),
		gwNetboot(p),
		gwUsers(p),
		gwPresence(p),
	)
}

// gwSystem is what gw has before it serves anything.
func gwSystem(p Payload) []stage.Stage {
	return []stage.Stage{
		{
			Name: "container_gw_network",
			Doc:  "Give gw its address towards the host, in place of the one from DHCP.",
			Steps: []stage.Step{
				// It sorts before 80-container-host0.network, which would win otherwise.
				step.WriteFile{Path: "/etc/systemd/network/10-gw.network", Content: gwUplink},
				step.WriteFile{Path: "/etc/resolv.conf", Content: gwResolver},
				step.Restart{Units: []string{"systemd-networkd.service"}},
			},
			Checks: []stage.Check{
				check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(UplinkAddress + "/24")},
				check.Ping{Address: netip.MustParseAddr(HostAddress), Inside: true},
				check.URL{URL: p.Internet, Inside: true}, // by name, where it has one
				check.PortOpen{Address: UplinkAddress + ":22"},
			},
		},
		p.CopySADM(),
		setupSADM(p),
		{
			Name: "setup_gw",
			Doc:  "Install the packages of gw.",
			Steps: []stage.Step{
				step.Command(checkout + "/install_scripts/setup_gw.sh"),
				stopgap("sso"),
			},
		},
		setupLibprologin(p),
		{
			Name: "setup_network",
			Doc:  "Give gw its addresses on the LAN, and keep the one towards the host.",
			Steps: []stage.Step{
				p.install("systemd_networkd_gw", "nic_configuration", "conntrack"),
				step.Enable{Units: []string{"conntrack.service"}, Now: true},
				step.Command("sed", "-i", "s/^Name=.*/Name=host0/", "/etc/systemd/network/10-gw.network"),
				step.EditFile{Path: "/etc/systemd/network/10-gw.network", Name: "container", Lines: gwUplinkLines},
				step.Restart{Units: []string{"systemd-networkd.service"}},
				skipped{"systemctl enable --now nic-configuration@host0", "a veth has no pause settings"},
				skipped{"systemctl start systemd-timesyncd", "a container has its host's clock"},
			},
			Checks: append(enabledActive("conntrack.service"),
				check.URL{URL: p.Internet, Inside: true},
				check.HasAddress{Address: netip.MustParsePrefix(LANAddress + "/23")},
				check.HasAddress{Address: netip.MustParsePrefix(AlienAddress + "/24")},
				check.HasAddress{Address: netip.MustParsePrefix(UplinkAddress + "/24")},
			),
		},
		setupPostgreSQL(p),
		setupNginx(p),
	}
}

const gwUplink = `[Match]
Name=host0

` + gwUplinkLines

const gwUplinkLines = `[Network]
DHCP=no
Address=` + UplinkAddress + `/24
Gateway=` + HostAddress + `
LLDP=yes
`

// gwResolver is gw itself, and a public server until it is there.
const gwResolver = `search ` + Domain + `
nameserver 127.0.0.1
nameserver 9.9.9.9
`

// stopgap gives a service of gw its name until the name server knows it.
func stopgap(name string) step.EditFile {
	return step.EditFile{Path: "/etc/hosts", Name: "stopgap " + name, Lines: "127.0.0.1 " + name}
}

// noStopgaps drops them.
var noStopgaps = step.Command("sed", "-i", "/^# begin stopgap/,/^# end stopgap/d", "/etc/hosts")
