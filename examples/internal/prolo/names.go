package prolo

// Names and addresses of the lab. They are those of the finals, so that what is
// tested here is what runs there.
const (
	Zone   = "prolo"
	Bridge = "vz-" + Zone
	Domain = "prolo"

	// HostAddress is this host on the bridge, the machines' way out.
	HostAddress = "10.0.0.1"
	// UplinkAddress is gw on the bridge; LANAddress is what gw is called in DNS.
	UplinkAddress = "10.0.0.254"
	LANAddress    = "192.168.1.254"

	// mirrorPort is where the embedded mirror listens on the bridge. It is fixed
	// because the machines' pacman.conf has it. The host's pacman reaches the mirror
	// by loopback, before there is a bridge.
	mirrorPort = "8730"

	// baseVolume is the root that every machine is cloned from.
	baseVolume = "arch_linux_base"
)
