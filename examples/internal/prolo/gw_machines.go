package prolo

import (
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// gwMachines are the machine database and what follows it: names and addresses.
func gwMachines(p Payload) []stage.Stage {
	return []stage.Stage{
		{
			Name:   "setup_mdb",
			Doc:    "Start the machine database.",
			Steps:  append([]stage.Step{stopgap("mdb")}, p.service("mdb")...),
			Checks: append(enabledActive("mdb.service"), check.URL{URL: "http://mdb/call/query", Inside: true}),
		},
		{
			Name:   "setup_mdbsync",
			Doc:    "Start what others follow the machine database by.",
			Steps:  append([]stage.Step{stopgap("mdbsync")}, p.service("mdbsync")...),
			Checks: enabledActive("mdbsync.service"),
		},
		{
			Name: "setup_mdbdns",
			Doc:  "Enter gw into the machine database, and answer for the names in it.",
			Steps: []stage.Step{
				p.install("mdbdns"),
				step.Command("mv", "/etc/named.conf.new", "/etc/named.conf"),
				step.Enable{Units: []string{"mdbdns.service"}, Now: true},
				p.manage("mdb", "addmachine", "--hostname", "gw", "--mac", "11:22:33:44:55:66",
					"--ip", LANAddress, "--rfs", "0", "--hfs", "0", "--mtype", "service", "--room", "pasteur",
					"--aliases", "mdb,mdbsync,ns,netboot,udb,udbsync,presencesync,ntp,sso"),
				step.Enable{Units: []string{"named.service"}, Now: true},
				// What writes the zone finds the database by name.
				awaitName("mdb." + Domain),
				noStopgaps,
				step.WriteFile{Path: "/etc/resolv.conf", Content: "search " + Domain + "\nnameserver 127.0.0.1\n"},
				step.Restart{Units: []string{"mdb.service"}},
			},
			Checks: append(enabledActive("mdbdns.service", "named.service"),
				check.Resolves{Name: "mdb." + Domain, Server: "127.0.0.1", Want: LANAddress, Inside: true},
				check.Resolves{Name: "gw." + Domain, Server: UplinkAddress, Want: LANAddress},
				check.URL{URL: "http://mdb/call/query", Body: "presencesync", Inside: true},
			),
		},
		{
			Name: "setup_mdbdhcp",
			Doc:  "Give the machines in the database their addresses.",
			Steps: []stage.Step{
				p.install("mdbdhcp"),
				step.Install{Packages: []string{"ipxe"}},
				// Where the package has it has changed.
				step.Command("sh", "-c", `install -D -m 644 "$(pacman -Qlq ipxe | grep -m 1 '/undionly\.kpxe$')" /srv/tftp/arch.kpxe`),
				step.Command("mv", "/etc/dhcpd.conf.new", "/etc/dhcpd.conf"),
				emptySubnet("10.0.0.0", "255.255.255.0"),
				emptySubnet("169.254.0.0", "255.255.0.0"),
				step.Enable{Units: []string{"mdbdhcp.service"}, Now: true},
				step.Enable{Units: []string{"dhcpd4.service"}, Now: true},
			},
			Checks: append(enabledActive("mdbdhcp.service", "dhcpd4.service"),
				check.FileContains{Path: "/etc/dhcpd/generated.conf", Text: LANAddress},
				check.FilePresent{Path: "/srv/tftp/arch.kpxe"},
			),
		},
	}
}

// awaitName waits until gw's name server knows a name.
func awaitName(name string) step.Exec {
	return step.Command("timeout", "30", "sh", "-c",
		"until dig +short @127.0.0.1 "+name+" A | grep -q .; do sleep 0.1; done")
}

// emptySubnet tells the DHCP server of a subnet of host0 in which it gives nothing
// away: in a container, that of the host, and link-local addresses.
func emptySubnet(subnet, netmask string) step.Exec {
	return step.Command("sed", "-i",
		"/subnet XX.XX.0.0 netmask 255.255.0.0/a subnet "+subnet+" netmask "+netmask+" { }", "/etc/dhcpd.conf")
}

// gwNetboot is what machines without a disk boot from.
func gwNetboot(p Payload) []stage.Stage {
	return []stage.Stage{
		{
			Name:   "tftpd",
			Doc:    "Serve the first images to boot.",
			Steps:  []stage.Step{step.Enable{Units: []string{"tftpd.socket"}, Now: true}},
			Checks: append(enabledActive("tftpd.socket"), check.FilePresent{Path: "/srv/tftp"}),
		},
		{
			Name: "ipxe",
			Doc:  "The image that contestants' machines boot has come with the packages of gw.",
			Checks: []stage.Check{
				check.FilePresent{Path: "/srv/tftp/prologin.kpxe"},
				// The daemon loses the datagram that it was started by: asked again, it answers.
				check.Run("curl", "-sSf", "--max-time", "1", "-o", "/dev/null", "tftp://127.0.0.1/prologin.kpxe"),
			},
		},
		{
			Name:  "netboot",
			Doc:   "Tell machines what to boot, and register new ones.",
			Steps: p.service("netboot"),
			Checks: append(enabledActive("netboot.service"),
				check.URL{URL: "http://netboot/bootstrap", Body: "#!ipxe", Inside: true}),
		},
	}
}
