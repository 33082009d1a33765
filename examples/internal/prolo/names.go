package prolo

import "github.com/prologin/rig/netsetup"

// Names and addresses of the lab. They are those of the finals, so that what is
// tested here is what runs there.
const (
	Zone   = "prolo"
	Bridge = "vz-" + Zone
	Domain = "prolo"

	MachineGW   = "mygw"
	MachineRHFS = "myrhfs0"
	MachineWeb  = "myweb"
	MachinePas  = "pas-r11p11.prolo"

	// HostAddress is this host on the bridge, the machines' way out.
	HostAddress = "10.0.0.1"
	// UplinkAddress is gw on the bridge; LANAddress is what gw is called in DNS.
	UplinkAddress = "10.0.0.254"
	LANAddress    = "192.168.1.254"
	// AlienAddress is gw for machines that are not in the machine database.
	AlienAddress = "192.168.250.254"
)

// MAC returns the address of a machine's host0, which is known before it boots.
func MAC(machine string) string { return netsetup.MAC(Bridge, machine).String() }
