package nspawn

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// removeLinks removes the host's ends of pairs and an empty zone's bridge, which
// an nspawn that was killed leaves: the kernel takes pairs away with the
// machine's network namespace, but only some time later, and a machine started
// again meanwhile would find the names taken.
func (h *Host) removeLinks(rec *record) error {
	n := &rec.Config.Network
	if rec.Phase == phaseStarting || rec.BootID != bootID() || !n.hasHost0() && len(n.Extra) == 0 {
		return nil // they might be someone else's, which this machine ran into
	}
	return onOwnThread(func() error {
		if h.options.Netns != "" {
			if err := joinNetns(h.options.Netns); err != nil {
				return nil // it is gone, and everything in it
			}
		}
		var errs []error
		for _, name := range n.hostEnds(rec.Config.Name) {
			errs = append(errs, removeLink(name, "veth"))
		}
		if n.Zone != "" {
			errs = append(errs, removeEmptyBridge("vz-"+n.Zone))
		}
		return errors.Join(errs...)
	})
}

// hostEnds names the host's ends as nspawn does; a name beyond 15 bytes is an
// alternative one of a shortened interface.
func (n *Network) hostEnds(machine string) (names []string) {
	switch {
	case n.Bridge != "" || n.Zone != "":
		names = append(names, "vb-"+machine)
	case n.Veth:
		names = append(names, "ve-"+machine)
	}
	for _, pair := range n.Extra {
		names = append(names, pair.Host)
	}
	return names
}

// removeLink removes an interface of a kind; that there is none is fine, and also
// that the kernel removes it meanwhile, with the machine's network namespace.
func removeLink(name, kind string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			return nil
		}
		return fmt.Errorf("look for interface %s: %w", name, err)
	}
	if link.Type() != kind {
		return nil
	}
	if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}

// removeEmptyBridge removes a zone's bridge that no machine is on, as nspawn
// does at the end of the last.
func removeEmptyBridge(name string) error {
	bridge, err := netlink.LinkByName(name)
	if err != nil {
		return nil
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, link := range links {
		if link.Attrs().MasterIndex == bridge.Attrs().Index {
			return nil
		}
	}
	return removeLink(name, "bridge")
}

// macVersion is the first nspawn that sets the address of host0 itself.
const macVersion = 255

// setMAC gives host0 its address where nspawn cannot, before the machine's
// programs look at it.
func (h *Host) setMAC(l *leader, mac net.HardwareAddr) error {
	if mac == nil || h.nspawn.version >= macVersion {
		return nil
	}
	return onOwnThread(func() error {
		if err := l.fd.setns(unix.CLONE_NEWNET); err != nil {
			return err
		}
		link, err := netlink.LinkByName("host0")
		if err != nil {
			return err
		}
		return netlink.LinkSetHardwareAddr(link, mac)
	})
}
