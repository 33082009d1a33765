package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Packet is the first packet of a connection.
type Packet struct {
	Src, Dst netip.Addr

	// Protocol is "tcp", "udp", "icmp" or "ipv6-icmp".
	Protocol string

	// Port is where it goes to; 0 for protocols that have none.
	Port uint16

	// In is the interface by which it reaches the host, a bridge rather than
	// a port of it. Empty is the one on whose subnet Src is, or for an address
	// of the host's own, none.
	In string
}

// String returns "tcp 10.0.0.254 to 192.0.2.1:80".
func (p Packet) String() string {
	if p.Port == 0 {
		return fmt.Sprintf("%s %v to %v", p.Protocol, p.Src, p.Dst)
	}
	return fmt.Sprintf("%s %v to %v", p.Protocol, p.Src, netip.AddrPortFrom(p.Dst, p.Port))
}

// Explanation is what becomes of a packet on its way through the host.
type Explanation struct {
	// Passes says that nothing was found that stops the packet.
	Passes bool

	// Reason says, if it does not pass, what stops it: "rule 3 of
	// filter/FORWARD: -s … -j DROP", "IPv4 forwarding is off", …
	Reason string

	// Steps are the decisions on the way, in order.
	Steps []string

	// Unsure are rules with matches that are not understood here. They were
	// taken for not matching.
	Unsure []string
}

// Explain follows a packet through the host: the ports of a bridge, routes,
// forwarding, reverse path filters, and the rules of both backends of iptables
// and of nftables' own tables, hook by hook. It sends nothing.
// A packet that there cannot be is ErrInvalid, an interface In that there is not
// fs.ErrNotExist.
func (h *Host) Explain(ctx context.Context, p Packet) (Explanation, error) {
	if err := p.check(); err != nil {
		return Explanation{}, fail("explain", "", err)
	}
	w := walk{packet: p}
	err := h.do(ctx, "explain", "", func() (err error) {
		if w.v, err = h.kernel.look(); err != nil {
			return err
		}
		if p.In != "" && w.v.links[p.In] == nil {
			return fmt.Errorf("no interface %q: %w", p.In, fs.ErrNotExist)
		}
		if err = w.look(); err == nil {
			err = w.through()
		}
		if errors.Is(err, errStopped) {
			err = nil
		}
		return err
	})
	w.told.Passes = w.told.Reason == "" && err == nil
	return w.told, err
}

func (p Packet) check() error {
	switch {
	case !p.Src.IsValid(), !p.Dst.IsValid(), p.Src.Is4() != p.Dst.Is4():
		return invalid("packet %v has no two addresses of one family", p)
	case !slices.Contains([]string{"tcp", "udp", "icmp", "ipv6-icmp"}, p.Protocol):
		return invalid("packet %v: the protocol is none of tcp, udp, icmp and ipv6-icmp", p)
	}
	return nil
}

// walk is a packet on its way.
type walk struct {
	v      *view
	packet Packet
	in     string // the interface it came in by
	out    string // the one it leaves by
	turned bool   // by DNAT
	other  *view  // of the rules of the other backend of iptables; nil if there are none
	by     string // the program whose rules are being read, if not the host's iptables
	told   Explanation
}

// errStopped ends a walk; the reason is in the explanation.
var errStopped = errors.New("stopped")

func (w *walk) stop(format string, args ...any) error {
	w.told.Reason = fmt.Sprintf(format, args...)
	return errStopped
}

func (w *walk) step(format string, args ...any) {
	w.told.Steps = append(w.told.Steps, fmt.Sprintf(format, args...))
}

func (w *walk) through() error {
	w.in = w.packet.In
	if w.in == "" {
		w.in = w.entry()
	}
	if w.in == "" {
		return w.fromHost()
	}
	w.step("comes in by %s", w.in)
	if err := w.hook("PREROUTING", "raw", "mangle", "nat"); err != nil {
		return err
	}
	if err := w.reversePath(); err != nil {
		return err
	}
	local, err := w.route()
	if err != nil {
		return err
	}
	if !local && w.out == w.in && w.neighbours() {
		if bridged, err := w.bridged(); bridged || err != nil {
			return err
		}
	}
	if local {
		w.step("is for the host itself")
		return w.hook("INPUT", "mangle", "filter", "nat")
	}
	if err := w.forwarding(); err != nil {
		return err
	}
	w.step("goes on by %s", w.out)
	if err := w.hook("FORWARD", "mangle", "filter"); err != nil {
		return err
	}
	return w.hook("POSTROUTING", "mangle", "nat")
}

// fromHost is the way of a packet that the host sends.
func (w *walk) fromHost() error {
	if _, err := w.route(); err != nil {
		return err
	}
	if err := w.hook("OUTPUT", "raw", "mangle", "nat", "filter"); err != nil {
		return err
	}
	if _, err := w.route(); err != nil { // DNAT may have turned it
		return err
	}
	w.step("leaves the host by %s", w.out)
	return w.hook("POSTROUTING", "mangle", "nat")
}

// entry finds the interface on whose subnet the packet's source is; none for
// an address of the host's.
func (w *walk) entry() string {
	best, name := -1, ""
	for n, l := range w.v.links {
		for _, p := range w.v.addrs[l.Attrs().Index] {
			if p.Addr() == w.packet.Src {
				return ""
			}
			if p.Contains(w.packet.Src) && p.Bits() > best {
				best, name = p.Bits(), n
			}
		}
	}
	return name
}

// route asks the kernel where the packet goes.
func (w *walk) route() (local bool, err error) {
	opts := &netlink.RouteGetOptions{SrcAddr: w.packet.Src.AsSlice(), Iif: w.in}
	routes, err := w.v.k.nl.RouteGetWithOptions(w.packet.Dst.AsSlice(), opts)
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL) {
		return false, w.stop("the kernel takes no packet from %v by %s", w.packet.Src, w.in)
	}
	if errors.Is(err, unix.EHOSTUNREACH) && w.in != "" {
		// So the kernel calls it when it may not forward, too.
		if err := w.forwarding(); err != nil {
			return false, err
		}
	}
	if err != nil || len(routes) == 0 {
		return false, w.stop("no route to %v (%v)", w.packet.Dst, err)
	}
	r := routes[0]
	if l := w.v.byIndex(r.LinkIndex); l != nil {
		w.out = l.Attrs().Name
	}
	switch r.Type {
	case unix.RTN_BLACKHOLE, unix.RTN_UNREACHABLE, unix.RTN_PROHIBIT:
		return false, w.stop("a route forbids %v", w.packet.Dst)
	}
	return r.Type == unix.RTN_LOCAL, nil
}

// reversePath is rp_filter: see ip-sysctl in the kernel's documentation.
func (w *walk) reversePath() error {
	if !w.packet.Src.Is4() {
		return nil
	}
	all, err := readSysctl("net/ipv4/conf/all/rp_filter")
	if err != nil {
		return err
	}
	own, err := readSysctl("net/ipv4/conf/" + w.in + "/rp_filter")
	if err != nil {
		return err
	}
	if max(all, own) != "1" {
		return nil
	}
	routes, err := w.v.k.nl.RouteGet(w.packet.Src.AsSlice())
	if err != nil || len(routes) == 0 {
		return w.stop("rp_filter of %s: no route back to %v", w.in, w.packet.Src)
	}
	if back := w.v.byIndex(routes[0].LinkIndex); back != nil && back.Attrs().Name != w.in {
		return w.stop("rp_filter of %s: the way back to %v is by %s", w.in, w.packet.Src, back.Attrs().Name)
	}
	return nil
}

func (w *walk) forwarding() error {
	f := familyOf(w.packet.Dst)
	key := "net/ipv4/conf/" + w.in + "/forwarding"
	if f == ipv6 {
		key = "net/ipv6/conf/" + w.in + "/forwarding"
	}
	on, err := readSysctl(key)
	if err == nil && on == "0" {
		return w.stop("%v forwarding is off for %s", f, w.in)
	}
	return err
}

// isLocal reports whether an address is the host's own.
func (w *walk) isLocal(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, list := range w.v.addrs {
		if slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr() == a }) {
			return true
		}
	}
	return false
}

// iface matches a name or, with a plus at its end, the beginning of one.
func iface(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "+"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}
