package netsetup

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// address is an address of the host on a link.
type address struct {
	Link   string       `json:"link"`
	Prefix netip.Prefix `json:"prefix"`
}

// String returns "address PREFIX on LINK".
func (a address) String() string { return fmt.Sprintf("address %v on %s", a.Prefix, a.Link) }

func (a address) lines(unmake bool) []string {
	verb, nodad := "add", ""
	if unmake {
		verb = "delete"
	} else if a.Prefix.Addr().Is6() {
		nodad = " nodad"
	}
	return []string{fmt.Sprintf("ip address %s %v dev %s%s", verb, a.Prefix, a.Link, nodad)}
}

func (a address) present(v *view) (bool, error) {
	l, ok := v.links[a.Link]
	return ok && slices.Contains(v.addrs[l.Attrs().Index], a.Prefix), nil
}

func (a address) create(k *kernel) error {
	l, err := k.existing(a.Link)
	if err != nil {
		return err
	}
	err = k.nl.AddrAdd(l, a.netlink())
	if err == unix.EEXIST {
		return nil
	}
	return err
}

func (a address) destroy(k *kernel) error {
	l, err := k.link(a.Link)
	if err != nil || l == nil {
		return err
	}
	return gone(k.nl.AddrDel(l, a.netlink()))
}

func (a address) netlink() *netlink.Addr {
	ip := a.Prefix.Addr()
	addr := &netlink.Addr{IPNet: &net.IPNet{
		IP:   ip.AsSlice(),
		Mask: net.CIDRMask(a.Prefix.Bits(), ip.BitLen()),
	}}
	if ip.Is4() {
		addr.Broadcast = lastAddr(a.Prefix).AsSlice()
	} else {
		// Nobody else is on the bridge yet: looking for duplicates would only
		// keep the address unusable for a second.
		addr.Flags = unix.IFA_F_NODAD
	}
	return addr
}
