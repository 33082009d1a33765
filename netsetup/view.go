package netsetup

import (
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// view is what the kernel has, read once for many questions.
type view struct {
	k        *kernel
	links    map[string]netlink.Link
	addrs    map[int][]netip.Prefix // by index of the link
	routes   []netlink.Route        // of the main table; nil until asked for
	isolated map[int]bool           // ports by index; nil until asked for
	tables   map[tableID][]string   // names of chains, filled as asked for
	chains   map[chainID]chainRules // filled as asked for
	nft      *native                // nil until asked for
	recorded *journal               // if not nil, the rules are as it says
}

func (k *kernel) look() (*view, error) {
	links, err := retryDump(k.nl.LinkList)
	if err != nil {
		return nil, err
	}
	addrs, err := retryDump(func() ([]netlink.Addr, error) {
		return k.nl.AddrList(nil, netlink.FAMILY_ALL)
	})
	if err != nil {
		return nil, err
	}
	v := &view{
		k:      k,
		links:  make(map[string]netlink.Link, len(links)),
		addrs:  make(map[int][]netip.Prefix, len(addrs)),
		tables: make(map[tableID][]string),
		chains: make(map[chainID]chainRules),
	}
	for _, l := range links {
		v.links[l.Attrs().Name] = l
	}
	for _, a := range addrs {
		if p, ok := prefixOf(a); ok {
			v.addrs[a.LinkIndex] = append(v.addrs[a.LinkIndex], p)
		}
	}
	return v, nil
}

func prefixOf(a netlink.Addr) (netip.Prefix, bool) {
	ip, ok := netip.AddrFromSlice(a.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	bits, _ := a.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits), true
}

// retryDump asks again while the kernel's tables change under the answer, or the
// answer is too much for the socket at once (ENOBUFS).
func retryDump[T any](dump func() ([]T, error)) ([]T, error) {
	const attempts = 10
	var list []T
	var err error
	for range attempts {
		list, err = dump()
		if !errors.Is(err, netlink.ErrDumpInterrupted) && !errors.Is(err, unix.ENOBUFS) {
			break
		}
	}
	return list, err
}
