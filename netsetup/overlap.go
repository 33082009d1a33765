package netsetup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// conflicts returns, joined, everything of the host that already has one of the
// network's addresses.
func (n Network) conflicts(v *view) error {
	var errs []error
	for _, p := range n.Prefixes {
		errs = append(errs, n.takenByLink(v, p), n.takenByRoute(v, p))
	}
	return errors.Join(errs...)
}

func (n Network) takenByLink(v *view, p netip.Prefix) error {
	for _, l := range v.links {
		if l.Attrs().Name == n.Bridge {
			continue
		}
		for _, q := range v.addrs[l.Attrs().Index] {
			if p.Overlaps(q) {
				return &ConflictError{Want: p.Masked().String(), With: v.describe(l), Err: ErrOverlap}
			}
		}
	}
	return nil
}

func (n Network) takenByRoute(v *view, p netip.Prefix) error {
	routes, err := v.mainRoutes()
	if err != nil {
		return err
	}
	for _, r := range routes {
		dst, ok := destination(r)
		l := v.byIndex(r.LinkIndex)
		if !ok || !dst.Overlaps(p) || l != nil && l.Attrs().Name == n.Bridge {
			continue
		}
		with := fmt.Sprintf("the route to %v", dst)
		if l != nil {
			with += " by " + v.describe(l)
		}
		return &ConflictError{Want: p.Masked().String(), With: with, Err: ErrOverlap}
	}
	return nil
}

func (v *view) mainRoutes() ([]netlink.Route, error) {
	if v.routes != nil {
		return v.routes, nil
	}
	routes, err := retryDump(func() ([]netlink.Route, error) {
		return v.k.nl.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	})
	v.routes = routes
	return routes, err
}

// destination is where a route leads to. A default route is nobody's in
// particular, and a link-local one everybody's.
func destination(r netlink.Route) (netip.Prefix, bool) {
	if r.Dst == nil {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	dst := netip.PrefixFrom(ip.Unmap(), bits)
	return dst, ok && bits > 0 && !(dst.Addr().Is6() && dst.Addr().IsLinkLocalUnicast())
}

func (v *view) byIndex(index int) netlink.Link {
	for _, l := range v.links {
		if l.Attrs().Index == index {
			return l
		}
	}
	return nil
}

// dockerBridge is how Docker names the bridges of its networks.
var dockerBridge = regexp.MustCompile(`^(docker0|br-[0-9a-f]{12})$`)

// describe says what a link is and whose, as well as can be told from outside.
func (v *view) describe(l netlink.Link) string {
	a := l.Attrs()
	var s string
	switch {
	case dockerBridge.MatchString(a.Name):
		s = "Docker's bridge " + a.Name
	case strings.HasPrefix(a.Name, "virbr"):
		s = "libvirt's bridge " + a.Name
	case strings.HasPrefix(a.Name, "vz-"):
		s = "systemd-nspawn's zone " + a.Name
	case l.Type() == "bridge":
		s = "the bridge " + a.Name
	default:
		s = "the interface " + a.Name
	}
	if a.Alias != "" {
		s += fmt.Sprintf(" (%s)", a.Alias)
	}
	var addrs []string
	for _, p := range v.addrs[a.Index] {
		if !p.Addr().IsLinkLocalUnicast() {
			addrs = append(addrs, p.String())
		}
	}
	if len(addrs) > 0 {
		slices.Sort(addrs)
		s += " with " + strings.Join(addrs, " and ")
	}
	if a.Flags&net.FlagUp == 0 {
		s += ", down"
	}
	return s
}
