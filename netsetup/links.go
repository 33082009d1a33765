package netsetup

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// links is all links that bear a network's mark, deleted at once: the kernel
// waits for each deletion, and so one for all is many times as fast as one by
// one.
type links struct {
	Bridge string `json:"bridge"`
}

// String returns "links of BRIDGE".
func (l links) String() string { return "links of " + l.Bridge }

func (l links) lines(unmake bool) []string {
	if unmake {
		return []string{fmt.Sprintf("ip link delete group %d", groupOf(l.Bridge))}
	}
	return nil
}

func (l links) present(v *view) (bool, error) {
	return len(v.ours(l.Bridge)) > 0, nil
}

func (l links) create(*kernel) error { return nil }

func (l links) destroy(k *kernel) error {
	req := k.request(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(groupOf(l.Bridge))))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if errors.Is(err, unix.EOPNOTSUPP) {
		// Somebody gave the mark to what cannot be deleted, and the kernel
		// has deleted nothing.
		return l.destroyEach(k)
	}
	return gone(err)
}

func (l links) destroyEach(k *kernel) error {
	v, err := k.look()
	if err != nil {
		return err
	}
	var errs []error
	for _, link := range v.ours(l.Bridge) {
		if err := k.nl.LinkDel(link); !errors.Is(err, unix.EOPNOTSUPP) {
			errs = append(errs, gone(err))
		}
	}
	return errors.Join(errs...)
}

// ours lists the links that bear a network's mark.
func (v *view) ours(bridge string) []netlink.Link {
	var list []netlink.Link
	for _, l := range v.links {
		if l.Attrs().Group == groupOf(bridge) {
			list = append(list, l)
		}
	}
	return list
}

// mark gives a new link its alias and, if its name had to be shortened, the full
// one as a second name.
func (k *kernel) mark(l netlink.Link, bridge, machine, full string) error {
	alias := aliasOf(bridge) + ": " + machine
	if l.Attrs().Alias != alias {
		if err := k.setAlias(l.Attrs().Name, alias); err != nil {
			return fmt.Errorf("setting its alias: %w", err)
		}
	}
	if full == l.Attrs().Name || slices.Contains(l.Attrs().AltNames, full) {
		return nil
	}
	if err := k.nl.LinkAddAltName(l, full); err != nil {
		return fmt.Errorf("setting its second name: %w", err)
	}
	return nil
}

// setAlias names the link rather than have its number asked for first.
func (k *kernel) setAlias(name, alias string) error {
	req := k.request(unix.RTM_SETLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias)))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// plug puts a link on a bridge and switches it on.
func (k *kernel) plug(l netlink.Link, bridge string) error {
	br, err := k.existing(bridge)
	if err != nil {
		return err
	}
	if l.Attrs().MasterIndex != br.Attrs().Index {
		if err := k.nl.LinkSetMaster(l, br); err != nil {
			return fmt.Errorf("putting it on the bridge: %w", err)
		}
	}
	return k.nl.LinkSetUp(l)
}

// plugged reports whether a link is on the bridge and on.
func (v *view) plugged(l netlink.Link, bridge string) bool {
	br := v.links[bridge]
	return br != nil && l.Attrs().MasterIndex == br.Attrs().Index && l.Attrs().RawFlags&unix.IFF_UP != 0
}

// marked finds a link of a network's by name. It is a conflict if the link is
// there without the mark or of another kind.
func (v *view) marked(name, kind, bridge string) (netlink.Link, error) {
	l := v.links[name]
	if l != nil && (l.Type() != kind || l.Attrs().Group != groupOf(bridge)) {
		return nil, &ConflictError{Want: "interface " + name, With: v.describe(l), Err: ErrExists}
	}
	return l, nil
}

// unlink deletes a link if it bears the network's mark.
func (k *kernel) unlink(name, bridge string) error {
	l, err := k.link(name)
	if err != nil || l == nil || l.Attrs().Group != groupOf(bridge) {
		return err
	}
	return gone(k.nl.LinkDel(l))
}
