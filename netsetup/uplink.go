package netsetup

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultUplink is the Network.Uplink that stands for the interface of the
// default route.
const DefaultUplink = "default"

// checkUplink looks at the fields that are about the uplink.
func (n Network) checkUplink() []error {
	var faults []error
	if n.Uplink != "" && n.Uplink != DefaultUplink {
		faults = append(faults, checkName("uplink", n.Uplink))
	}
	if n.Uplink == n.Bridge && n.Uplink != "" {
		faults = append(faults, invalid("the bridge %s cannot be its own uplink", n.Bridge))
	}
	for _, p := range n.Pairs {
		if n.Uplink == p.Port() || n.Uplink == p.Local() {
			faults = append(faults, invalid("the uplink %s is machine %s's interface", n.Uplink, p.Machine))
		}
	}
	if n.Bridged != nil {
		faults = append(faults, n.checkBridged()...)
	}
	return faults
}

// resolved returns n with the name of its uplink, which has to be there.
func (n Network) resolved(v *view, j *journal) (Network, error) {
	for _, o := range j.objects() {
		// The default route now leads to the bridge.
		if b, ok := o.(bridgedUplink); ok && n.Bridged != nil && n.Uplink == DefaultUplink {
			n.Uplink = b.Uplink
		}
	}
	switch n.Uplink {
	case "":
		return n, nil
	case DefaultUplink:
		l, err := v.defaultUplink()
		if err != nil {
			return n, err
		}
		if n.Uplink = l.Attrs().Name; n.Uplink == n.Bridge {
			return n, fmt.Errorf("%w: the default route leads to the bridge %s itself", ErrNoUplink, n.Bridge)
		}
	default:
		if v.links[n.Uplink] == nil {
			return n, fmt.Errorf("%w: there is no interface %s", ErrNoUplink, n.Uplink)
		}
	}
	return n, nil
}

// defaultUplink finds the interface of the default route with the least metric, of
// IPv4 if there is one.
func (v *view) defaultUplink() (netlink.Link, error) {
	routes, err := v.mainRoutes()
	if err != nil {
		return nil, err
	}
	var best *netlink.Route
	for i, r := range routes {
		if !isDefault(r) || v.byIndex(r.LinkIndex) == nil {
			continue
		}
		if best == nil || defaultBefore(r, *best) {
			best = &routes[i]
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: the host has no default route", ErrNoUplink)
	}
	return v.byIndex(best.LinkIndex), nil
}

func isDefault(r netlink.Route) bool {
	if r.Type != unix.RTN_UNICAST || r.Dst == nil {
		return r.Type == unix.RTN_UNICAST
	}
	bits, _ := r.Dst.Mask.Size()
	return bits == 0 && r.Dst.IP.IsUnspecified()
}

func defaultBefore(a, b netlink.Route) bool {
	if a.Family != b.Family {
		return a.Family == netlink.FAMILY_V4
	}
	return a.Priority < b.Priority
}

// outward is the condition on a packet that it leaves by the uplink.
func (n Network) outward() []string {
	if n.Uplink == "" {
		return []string{"!", "-o", n.Bridge}
	}
	return []string{"-o", n.Uplink}
}
