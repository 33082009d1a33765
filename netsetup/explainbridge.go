package netsetup

import (
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// neighbours reports whether both ends of the packet are on the subnet of the
// interface by which it comes.
func (w *walk) neighbours() bool {
	in := w.v.links[w.in]
	return in != nil && slices.ContainsFunc(w.v.addrs[in.Attrs().Index], func(p netip.Prefix) bool {
		return p.Contains(w.packet.Src) && p.Contains(w.packet.Dst)
	})
}

// bridged is the way of a packet from one port of a bridge to another, which is
// no business of the host's but for the ports' isolation. It reports false where
// br_netfilter shows such packets to iptables as well, or where there is no
// bridge.
func (w *walk) bridged() (bool, error) {
	br := w.v.links[w.in]
	if br == nil || br.Type() != "bridge" {
		return false, nil
	}
	w.step("stays on the bridge %s", w.in)
	ports, err := w.v.isolatedPorts()
	if err != nil {
		return false, err
	}
	from, err := w.portOf(br, w.packet.Src)
	if err != nil {
		return false, err
	}
	to, err := w.portOf(br, w.packet.Dst)
	if err != nil {
		return false, err
	}
	switch {
	case from != nil && to != nil && ports[from.Attrs().Index] && ports[to.Attrs().Index]:
		return true, w.stop("the ports %s and %s of %s are isolated from one another", from.Attrs().Name, to.Attrs().Name, w.in)
	case (from == nil || to == nil) && w.v.allIsolated(br, ports):
		return true, w.stop("all ports of %s are isolated from one another", w.in)
	case (from == nil || to == nil) && len(ports) > 0:
		w.told.Unsure = append(w.told.Unsure, "which ports of "+w.in+" the machines are at: nothing has been heard of one of them")
	}
	called, err := readSysctl("net/bridge/bridge-nf-call-iptables")
	return err != nil || called == "0", nil // no br_netfilter, no file
}

// allIsolated reports whether a bridge has isolated ports only, and more than one.
func (v *view) allIsolated(br netlink.Link, isolated map[int]bool) bool {
	ports := 0
	for _, l := range v.links {
		if l.Attrs().MasterIndex != br.Attrs().Index {
			continue
		}
		if ports++; !isolated[l.Attrs().Index] {
			return false
		}
	}
	return ports > 1
}

// portOf finds the port of a bridge behind which an address was last seen; nil,
// if it has not been.
func (w *walk) portOf(br netlink.Link, a netip.Addr) (netlink.Link, error) {
	nl := w.v.k.nl
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	neighbours, err := retryDump(func() ([]netlink.Neigh, error) { return nl.NeighList(br.Attrs().Index, family) })
	if err != nil {
		return nil, err
	}
	var mac net.HardwareAddr
	for _, n := range neighbours {
		if n.IP.Equal(a.AsSlice()) {
			mac = n.HardwareAddr
		}
	}
	if mac == nil {
		return nil, nil
	}
	entries, err := retryDump(func() ([]netlink.Neigh, error) { return nl.NeighList(0, unix.AF_BRIDGE) })
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.MasterIndex == br.Attrs().Index && e.HardwareAddr.String() == mac.String() && e.State&netlink.NUD_PERMANENT == 0 {
			return w.v.byIndex(e.LinkIndex), nil
		}
	}
	return nil, nil
}
