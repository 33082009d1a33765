package prolo

import (
	"net/netip"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// gwStages are those of gw, the machine that all others get their addresses,
// names and boot images from.
func gwStages(Payload) []stage.Stage {
	return []stage.Stage{
		{
			Name: "container_gw_network",
			Doc:  "Give gw its address towards the host, in place of the one from DHCP.",
			Steps: []stage.Step{
				// It sorts before 80-container-host0.network, which would win otherwise.
				step.WriteFile{Path: "/etc/systemd/network/10-gw.network", Content: gwNetwork},
				step.Restart{Units: []string{"systemd-networkd.service"}},
			},
			Checks: []stage.Check{
				check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(UplinkAddress + "/24")},
				check.Ping{Address: netip.MustParseAddr(HostAddress), Inside: true},
				check.PortOpen{Address: UplinkAddress + ":22"},
			},
		},
		{
			Name:  "install_packages",
			Doc:   "Install the web server and the name server with pacman, over the bridge.",
			Steps: []stage.Step{step.Install{Packages: []string{"nginx", "bind"}, Refresh: true}},
			Checks: []stage.Check{
				check.FilePresent{Path: "/usr/bin/nginx"},
				check.FilePresent{Path: "/usr/bin/named"},
			},
		},
		{
			Name: "setup_nginx",
			Doc:  "Serve a page that says who serves it.",
			Steps: []stage.Step{
				step.WriteFile{Path: "/usr/share/nginx/html/index.html", Content: gwPage},
				step.Enable{Units: []string{"nginx.service"}, Now: true},
			},
			Checks: []stage.Check{
				check.UnitEnabled{Name: "nginx.service"},
				check.UnitActive{Name: "nginx.service"},
				check.URL{URL: "http://localhost/", Body: "gw." + Domain, Inside: true},
				check.URL{URL: "http://" + UplinkAddress + "/", Body: "gw." + Domain},
			},
		},
		{
			Name: "setup_bind",
			Doc:  "Answer for the zone prolo, and become gw's own resolver.",
			Steps: []stage.Step{
				step.WriteFile{Path: "/etc/named.conf", Content: namedConf},
				step.WriteFile{Path: "/var/named/prolo.zone", Content: proloZone},
				step.Enable{Units: []string{"named.service"}, Now: true},
				step.WriteFile{Path: "/etc/resolv.conf", Content: "search " + Domain + "\nnameserver 127.0.0.1\n"},
			},
			Checks: []stage.Check{
				check.UnitEnabled{Name: "named.service"},
				check.UnitActive{Name: "named.service"},
				check.Resolves{Name: "gw." + Domain, Server: "127.0.0.1", Want: LANAddress, Inside: true},
				check.Resolves{Name: "gw." + Domain, Server: UplinkAddress, Want: LANAddress},
			},
		},
	}
}

const gwNetwork = `[Match]
Name=host0

[Network]
Address=` + UplinkAddress + `/24
Gateway=` + HostAddress + `
LLDP=yes
`

const gwPage = `<!DOCTYPE html>
<title>gw.` + Domain + `</title>
<p>This is gw.` + Domain + `.</p>
`

const namedConf = `options {
	directory "/var/named";
	listen-on { any; };
	listen-on-v6 { none; };
	allow-query { any; };
	recursion no;
	dnssec-validation no;
};

zone "` + Domain + `" {
	type primary;
	file "prolo.zone";
};
`

const proloZone = `$TTL 60
@	IN SOA	gw.` + Domain + `. root.gw.` + Domain + `. ( 1 3600 600 86400 60 )
	IN NS	gw.` + Domain + `.
gw	IN A	` + LANAddress + `
`
