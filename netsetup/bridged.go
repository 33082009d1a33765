package netsetup

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Bridged puts the uplink itself on the bridge, so that machines are in the
// uplink's network: they get their addresses from there, and everybody there
// reaches them. The host's addresses and routes move from the uplink to the
// bridge, which takes the uplink's MAC.
//
// The dangers: a host that is reached by its uplink may be out of reach if this
// goes wrong; rules of a firewall for the uplink no longer match, for packets now
// come by the bridge; a switch may close a port that shows more than one MAC; and
// what machines serve, they serve to everybody, for which see AllowDHCP. A program
// that keeps the uplink's addresses up to date, such as a DHCP client, does not
// know of the move.
type Bridged struct {
	// Consent says that whoever describes the network knows the dangers. Without
	// it nothing is done (ErrConsent).
	Consent bool

	// ConfirmWithin is how long Host.Confirm may take to come after Apply; then
	// everything is put back. 0 is a minute.
	ConfirmWithin time.Duration

	// AllowDHCP lets answers of DHCP servers and IPv6 routers among the machines
	// out by the uplink. The zero value keeps a lab from handing out addresses
	// to everybody.
	AllowDHCP bool
}

// confirmWithin is the least and the usual time for Host.Confirm.
const confirmWithin = time.Minute

func (n Network) checkBridged() []error {
	var faults []error
	if n.Uplink == "" {
		faults = append(faults, invalid("a bridged uplink has no name: set Uplink, to %q for the one of the default route", DefaultUplink))
	}
	if n.Masquerade || len(n.Forwards) > 0 || len(n.Prefixes) > 0 {
		faults = append(faults, invalid("a bridged uplink has addresses of its own: no prefixes, no masquerading, no forwards"))
	}
	if n.Isolation != (Isolation{}) {
		faults = append(faults, invalid("a bridged uplink cannot be isolated"))
	}
	if n.Bridged.ConfirmWithin < 0 {
		faults = append(faults, invalid("ConfirmWithin is negative"))
	}
	if !n.Bridged.Consent {
		faults = append(faults, fmt.Errorf("%w to bridge the uplink %s: the host may be out of reach if it fails; firewall rules for %s no longer match; machines are open to everybody there", ErrConsent, n.Uplink, n.Uplink))
	}
	return faults
}

// bridgedUplink is an uplink on the bridge, with all that it had before.
type bridgedUplink struct {
	Bridge    string          `json:"bridge"`
	Uplink    string          `json:"uplink"`
	Addresses []netlink.Addr  `json:"addresses"`
	Routes    []netlink.Route `json:"routes"`

	v *view // to remember from
}

// String returns "uplink UPLINK on BRIDGE".
func (b bridgedUplink) String() string { return "uplink " + b.Uplink + " on " + b.Bridge }

func (b bridgedUplink) present(v *view) (bool, error) {
	up, br := v.links[b.Uplink], v.links[b.Bridge]
	return up != nil && br != nil && up.Attrs().MasterIndex == br.Attrs().Index, nil
}

// remember notes the addresses and routes of the uplink, and refuses one that
// could not be put back.
func (b bridgedUplink) remember() (Object, error) {
	l := b.v.links[b.Uplink]
	if err := b.v.bridgeable(l); err != nil {
		return nil, err
	}
	err := b.rememberFrom(l)
	return b, err
}

// rememberFrom notes what a link has.
func (b *bridgedUplink) rememberFrom(l netlink.Link) error {
	v := b.v
	addrs, err := retryDump(func() ([]netlink.Addr, error) { return v.k.nl.AddrList(l, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if a.IP.IsLinkLocalUnicast() && a.IP.To4() == nil {
			continue // the kernel's own
		}
		if a.Broadcast == nil && a.IP.To4() != nil {
			a.Broadcast = net.IPv4zero // or netlink would add one
		}
		a.Flags &= unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR
		b.Addresses = append(b.Addresses, a)
	}
	b.Routes, err = v.routesBy(l)
	b.v = nil
	return err
}

// routesBy lists the routes of all tables that lead out by a link, but for those
// that the kernel makes by itself, nearer ones first.
func (v *view) routesBy(l netlink.Link) ([]netlink.Route, error) {
	// Not by netlink's filter for links, which lets no route of several hops pass.
	filter := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
	routes, err := retryDump(func() ([]netlink.Route, error) {
		return v.k.nl.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, err
	}
	index := l.Attrs().Index
	var list []netlink.Route
	for _, r := range routes {
		by := r.LinkIndex == index || slices.ContainsFunc(r.MultiPath, func(hop *netlink.NexthopInfo) bool { return hop.LinkIndex == index })
		if !by || r.Protocol == unix.RTPROT_KERNEL || r.Table == unix.RT_TABLE_LOCAL {
			continue
		}
		if len(r.MultiPath) > 0 || r.Encap != nil || r.Via != nil || r.NewDst != nil || r.MPLSDst != nil {
			return nil, fmt.Errorf("%w: the route %v cannot be moved to a bridge", ErrNotSupported, r)
		}
		r.Flags &= int(netlink.FLAG_ONLINK)
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b netlink.Route) int { return len(a.Gw) - len(b.Gw) })
	return list, nil
}

// create moves everything to the bridge. An address is on both for a moment, so
// that connections do not miss it.
func (b bridgedUplink) create(k *kernel) error {
	up, br, err := b.links(k)
	if err != nil {
		return err
	}
	if err := k.nl.LinkSetUp(br); err != nil {
		return err
	}
	if err := k.nl.LinkSetMaster(up, br); errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ELOOP) {
		return fmt.Errorf("%w: %s cannot be put on a bridge: %w", ErrNotSupported, b.Uplink, err)
	} else if err != nil {
		return err
	}
	if err := k.nl.LinkSetUp(up); err != nil {
		return err
	}
	return b.move(k, up, br)
}

// destroy moves everything back, from wherever a create has come to.
func (b bridgedUplink) destroy(k *kernel) error {
	up, err := k.link(b.Uplink)
	if err != nil || up == nil {
		return err
	}
	if err := k.nl.LinkSetNoMaster(up); err != nil {
		return err
	}
	br, err := k.link(b.Bridge)
	if err != nil {
		return err
	}
	return b.move(k, br, up)
}

func (b bridgedUplink) links(k *kernel) (up, br netlink.Link, err error) {
	if up, err = k.existing(b.Uplink); err == nil {
		br, err = k.existing(b.Bridge)
	}
	return up, br, err
}

// move moves addresses and routes; from may be gone.
func (b bridgedUplink) move(k *kernel, from, to netlink.Link) error {
	for _, a := range b.Addresses {
		a.LinkIndex = 0
		if v4 := a.Broadcast.To4(); v4 != nil {
			a.Broadcast = v4 // which in JSON has 16 bytes, of which netlink would send the first
		}
		if !strings.HasPrefix(a.Label, to.Attrs().Name) {
			a.Label = "" // the kernel's choice: a label begins with the link's name
		}
		if err := k.nl.AddrReplace(to, &a); err != nil {
			return fmt.Errorf("address %v on %s: %w", a.IPNet, to.Attrs().Name, err)
		}
	}
	for _, a := range slices.Backward(b.Addresses) { // the primary one takes the others along
		if from == nil {
			break
		}
		if err := gone(k.nl.AddrDel(from, &netlink.Addr{IPNet: a.IPNet, Peer: a.Peer})); err != nil {
			return fmt.Errorf("address %v off %s: %w", a.IPNet, from.Attrs().Name, err)
		}
	}
	for _, r := range b.Routes {
		r.LinkIndex = to.Attrs().Index
		if err := k.nl.RouteReplace(&r); err != nil {
			return fmt.Errorf("route %v: %w", r, err)
		}
		if from == nil {
			continue
		}
		r.LinkIndex = from.Attrs().Index
		if err := gone(k.nl.RouteDel(&r)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("route %v off %s: %w", r, from.Attrs().Name, err)
		}
	}
	return nil
}
