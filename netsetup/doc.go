// Package netsetup wires machines to a private network of the host's, and
// leaves the host as it found it.
//
// A [Network] says what should exist: a bridge, the host's addresses on it, and
// whether what is behind it may reach the rest of the world under the host's
// address. A [Host] is a network namespace; it makes a Network real and undoes
// it:
//
//	host, err := netsetup.Open(netsetup.Options{})
//	…
//	defer host.Close()
//	err = host.Apply(ctx, netsetup.Network{
//		Bridge:     "vz-prolo",
//		Prefixes:   []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
//		Masquerade: true,
//	})
//	…
//	err = host.Remove(ctx, "vz-prolo")
//
// Machines join by having an interface put on the bridge: systemd-nspawn does it
// by itself when told --network-bridge=vz-prolo. A [Pair] is an interface that
// stays when its machine stops, a [Tap] one for a virtual machine, a [Forward] a
// port of the host's that leads to a machine, and [Isolation] keeps apart what is
// not to meet.
//
// On a host that systemd-networkd runs, a [Zone] has networkd set up the bridge
// that nspawn makes for --network-zone=, and says so if another of its files
// would keep it from doing that.
//
// # Promises
//
// Apply makes a network as described or, if it fails, leaves the host as it was.
// Called again it changes what differs, and if nothing does, nothing. [Host.Plan]
// tells beforehand, in the words of ip(8) and iptables(8); [Host.Verify] tells
// whether it is all still there.
//
// Rules live in chains of our own, RIG-BRIDGE-HOOK, one for each hook, and every
// rule has a comment that begins "rig BRIDGE:". In the host's chains there is one
// jump each. A policy, or a rule of anybody else's, is never touched. Where
// Docker is, the jump stands in DOCKER-USER as well.
//
// Whatever leaves a masqueraded network has the host's address as its source.
// Packets that the kernel would pass on without rewriting, for being of no
// connection it knows or from an address outside the network, are dropped. The
// rules stand before the bridge goes up, and until after it is gone.
//
// [Host.Explain] tells what would stop a packet: a rule of iptables or of nftables, a
// route, a setting, the isolation of a bridge's ports.
//
// # Beside others
//
// Where systemd-networkd runs, a file keeps it off the network's links. Where
// firewalld runs, the bridge stands in its zone "trusted", and again after a reload
// as long as the Host is open. Rules of the other backend of iptables are a
// [BackendError]. [Options].Nftables does without iptables.
//
// # Bridging the uplink
//
// [Bridged] puts the host's own uplink on the bridge. It needs consent, and
// [Host.Confirm] within a minute; otherwise everything is put back. A program that is
// killed meanwhile cannot do so: the next Sweep does.
//
// # Limits
//
// A rule of somebody's table in nftables that drops what is forwarded cannot be
// overruled, firewalld's apart. Where br_netfilter shows bridged
// frames to iptables (net.bridge.bridge-nf-call-iptables), a machine does not reach
// itself through a forward of the host's; others reach it. A program killed while
// an iptables runs for it leaves that to end by itself, some milliseconds later.
//
// # What is left when a program dies
//
// Everything is written down in a journal before it is made, and the journal is
// locked as long as the program lives. [Host.Sweep] finds the journals that
// nobody holds and removes what they tell of. [Host.Remove] needs a bridge's name
// and nothing else.
//
// # Privileges
//
// Changing needs CAP_NET_ADMIN, looking does not, except at iptables' rules and,
// where networkd or firewalld runs, at the namespace that they are in; entering
// another namespace needs CAP_SYS_ADMIN. Linux is to be 5.14 or newer.
package netsetup
