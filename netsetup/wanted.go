package netsetup

import (
	"errors"
	"io/fs"
	"os"
	"slices"
)

// wanted lists what n consists of on this host, in the order in which it is
// made. Rules come before anything that could send a packet through them, and
// the bridge goes up last; unmaking goes the other way round.
func (n Network) wanted(v *view) ([]Object, error) {
	list, err := n.ruling(v)
	if err != nil {
		return nil, err
	}
	unmanaged, err := n.unmanaged(v)
	if err != nil {
		return nil, err
	}
	zone, err := n.inFirewall(v)
	if err != nil {
		return nil, err
	}
	list = slices.Concat(list, unmanaged, zone)
	if n.Bridged != nil && !n.Bridged.AllowDHCP {
		list = append(list, newGuard(n))
	}
	list = append(list, n.bridge(v))
	if n.Bridged == nil && !n.has(ipv6) && (v == nil || hostHasIPv6()) {
		// No link-local address either: machines would reach the host by it.
		list = append(list, sysctl{Key: "net/ipv6/conf/" + n.Bridge + "/disable_ipv6", Value: "1"})
	}
	for _, p := range n.Prefixes {
		list = append(list, address{Link: n.Bridge, Prefix: p})
	}
	list = append(list, n.ports(v)...)
	if n.fromLoopback() {
		list = append(list, sysctl{Key: "net/ipv4/conf/" + n.Bridge + "/route_localnet", Value: "1"})
	}
	for _, f := range n.families() {
		if n.routed(f) {
			list = append(list, forwarding{Family: f})
		}
	}
	if n.Bridged != nil {
		list = append(list, bridgedUplink{Bridge: n.Bridge, Uplink: n.Uplink, v: v})
	}
	return append(list, up{n.Bridge}), nil
}

// ruling lists the rules of all families, of iptables or of nftables.
func (n Network) ruling(v *view) ([]Object, error) {
	var list []Object
	for _, f := range n.families() {
		if !n.ruled(f) {
			continue
		}
		if v != nil && v.k.nftables {
			if err := v.overruled(f); err != nil {
				return nil, err
			}
			list = append(list, n.table(f))
			continue
		}
		if v != nil {
			if err := v.oneBackend(f); err != nil {
				return nil, err
			}
		}
		docker, err := v.hasDocker(f)
		if err != nil {
			return nil, err
		}
		list = append(list, n.rules(f, docker)...)
	}
	return list, nil
}

// bridge is the network's bridge. One with the uplink on it has the uplink's MAC, for
// the host keeps its addresses.
func (n Network) bridge(v *view) bridge {
	b := newBridge(n.Bridge, n.MTU)
	if n.Bridged == nil || v == nil {
		return b
	}
	up := v.links[n.Uplink].Attrs()
	if b.MAC = up.HardwareAddr; b.MTU == 0 {
		b.MTU = up.MTU
	}
	return b
}

// ports returns the machines' interfaces, and what is to be said of those that
// are on the bridge by somebody else's doing.
func (n Network) ports(v *view) []Object {
	var list []Object
	var names []string
	for _, p := range n.Pairs {
		list = append(list, p.veth(n))
		names = append(names, p.Port())
	}
	for _, t := range n.Taps {
		list = append(list, t.link(n))
		names = append(names, t.Name)
	}
	if !n.Isolation.Machines {
		return list
	}
	names = append(names, v.portsOf(n.Bridge)...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		list = append(list, isolated{name})
	}
	return list
}

// portsOf lists what is on a bridge. A nil view is that of a host without.
func (v *view) portsOf(bridge string) (names []string) {
	if v == nil || v.links[bridge] == nil {
		return nil
	}
	index := v.links[bridge].Attrs().Index
	for name, l := range v.links {
		if l.Attrs().MasterIndex == index {
			names = append(names, name)
		}
	}
	return names
}

// ruled reports whether n needs rules of a family, and so iptables.
func (n Network) ruled(f family) bool {
	return n.routed(f) || n.Isolation.Host || n.Isolation.Outside
}

// families returns the families that the prefixes are of.
func (n Network) families() []family {
	var list []family
	for _, f := range []family{ipv4, ipv6} {
		if n.has(f) {
			list = append(list, f)
		}
	}
	return list
}

func hostHasIPv6() bool {
	_, err := os.Stat(sysctlPath("net/ipv6/conf"))
	return !errors.Is(err, fs.ErrNotExist)
}
