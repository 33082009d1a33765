package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
)

// Network says what should exist: one bridge of the host, and what it does for
// the machines on it. It is plain data: the same on every host, made and
// validated without privileges.
type Network struct {
	// Bridge names the bridge, and with it the network: Remove needs no more.
	// At most 15 bytes of letters, digits, '.', '_' and '-'.
	Bridge string

	// Prefixes are the host's own addresses on the bridge, each with the
	// length of its subnet: 10.0.0.1/24. The bridge has none if it is empty.
	// IPv6 is switched off on the bridge unless one of them is IPv6.
	Prefixes []netip.Prefix

	// Masquerade lets the machines reach whatever the host reaches, under the
	// host's address: forwarding is switched on, and whatever leaves the host
	// from Prefixes gets a new source. A packet that would leave unrewritten
	// is dropped instead.
	Masquerade bool

	// Uplink is the host's interface towards the world, by name, or
	// DefaultUplink for the one of the default route when Apply is called. Then
	// machines get out by that interface only. If it is empty they get out by
	// whichever the host's routes lead to, also when those change.
	Uplink string

	// Bridged puts the uplink on the bridge, instead of masquerading; nil
	// leaves it alone.
	Bridged *Bridged

	// Pairs are interfaces for machines that stay when a machine stops.
	// nspawn makes one by itself, which does not stay, for a machine that is
	// started with --network-bridge=.
	Pairs []Pair

	// Taps are interfaces for virtual machines.
	Taps []Tap

	// ExactNames refuses machines whose interfaces' names do not fit into 15
	// bytes, rather than shorten them.
	ExactNames bool

	// Forwards are ports of the host that lead to a machine.
	Forwards []Forward

	// Isolation keeps machines, host and outside apart.
	Isolation Isolation

	// MTU of the bridge in bytes; 0 leaves it to the kernel (1500, or the
	// least MTU of the ports).
	MTU int

	// Keep marks a network that is meant to outlive the program: Sweep leaves
	// it alone when it is whole. The zero value is a network that is swept
	// when the last program that applied it is gone.
	Keep bool
}

// Validate reports everything that is wrong with n, joined; each fault is an
// ErrInvalid, but for ErrConsent where that is missing. It looks at nothing but n.
func (n Network) Validate() error {
	faults := []error{checkName("bridge", n.Bridge)}
	for i, p := range n.Prefixes {
		faults = append(faults, checkPrefix(p))
		for _, q := range n.Prefixes[:i] {
			if p.IsValid() && q.IsValid() && p.Overlaps(q) {
				faults = append(faults, invalid("prefixes %v and %v overlap", q, p))
			}
		}
	}
	faults = append(faults, n.checkUplink()...)
	faults = append(faults, n.checkPorts()...)
	for i, f := range n.Forwards {
		faults = append(faults, n.checkForward(f))
		for _, g := range n.Forwards[:i] {
			if sameListen(f, g) {
				faults = append(faults, invalid("forwards %v and %v compete for a port", g, f))
			}
		}
	}
	if n.Masquerade && len(n.Prefixes) == 0 {
		faults = append(faults, invalid("masquerading needs a prefix to masquerade"))
	}
	if n.MTU != 0 && (n.MTU < 68 || n.MTU > 65535) {
		faults = append(faults, invalid("MTU %d is not between 68 and 65535", n.MTU))
	}
	if n.MTU != 0 && n.MTU < 1280 && n.has(ipv6) {
		faults = append(faults, invalid("MTU %d is below 1280, the least for IPv6", n.MTU))
	}
	if err := errors.Join(faults...); err != nil {
		return &Error{Op: "validate", Network: n.Bridge, Err: err}
	}
	return nil
}

// checkPorts looks at the machines' interfaces: their names, which must differ
// also after they have been shortened, and their addresses.
func (n Network) checkPorts() []error {
	var faults []error
	names := map[string]string{n.Bridge: "the bridge"}
	name := func(name, whose string) {
		if other, taken := names[name]; taken {
			faults = append(faults, invalid("%s and %s would both have an interface %s", other, whose, name))
		}
		names[name] = whose
	}
	macs := map[string]string{newBridge(n.Bridge, 0).MAC.String(): "the bridge"}
	for _, p := range n.Pairs {
		faults = append(faults, checkMachine(p.Machine), checkMAC(p.MAC))
		name(p.Local(), "machine "+p.Machine)
		name(p.Port(), "machine "+p.Machine)
		if n.ExactNames && p.Port() != p.Machine+".bridge" {
			faults = append(faults, invalid("interface name %s.bridge has %d bytes, %d are the limit", p.Machine, len(p.Machine)+len(".bridge"), maxName))
		}
		mac := p.veth(n).MAC.String()
		if other, taken := macs[mac]; taken {
			faults = append(faults, invalid("%s and machine %s have the same MAC %s", other, p.Machine, mac))
		}
		macs[mac] = "machine " + p.Machine
	}
	for _, t := range n.Taps {
		faults = append(faults, checkName("tap", t.Name))
		name(t.Name, "tap "+t.Name)
		if t.Owner < 0 || t.Group < 0 {
			faults = append(faults, invalid("tap %s: an owner's ID is negative", t.Name))
		}
	}
	return faults
}

// has reports whether one of the prefixes is of family f.
func (n Network) has(f family) bool {
	for _, p := range n.Prefixes {
		if familyOf(p.Addr()) == f {
			return true
		}
	}
	return false
}

// checkPrefix refuses what cannot be the host's address in a subnet of machines.
func checkPrefix(p netip.Prefix) error {
	a := p.Addr()
	switch {
	case !p.IsValid():
		return invalid("a prefix is empty or malformed")
	case a.Is4In6():
		return invalid("prefix %v is IPv4 mapped into IPv6: write %v", p, a.Unmap())
	case a.IsMulticast(), a.IsUnspecified(), a.IsLoopback(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return invalid("prefix %v is not an address that a host can have", p)
	case a.Is6() && a.IsLinkLocalUnicast():
		return invalid("prefix %v is link-local: the kernel gives the bridge one by itself", p)
	case p.Bits() > a.BitLen()-2:
		return invalid("prefix %v has no room for a machine: /%d at most", p, a.BitLen()-2)
	case p.Bits() < 8:
		return invalid("prefix %v is wider than /8", p)
	case a == p.Masked().Addr():
		return invalid("prefix %v is the subnet itself: give the host an address in it, such as %v/%d", p, a.Next(), p.Bits())
	case a.Is4() && a == lastAddr(p):
		return invalid("prefix %v is the subnet's broadcast address", p)
	}
	return nil
}

// lastAddr returns the last address of an IPv4 prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
