package netsetup

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"net"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// bridge is the network's bridge. Two marks say that it is ours, and whose: the
// device group it is born with, and an alias for the reader of `ip link`.
type bridge struct {
	Name string           `json:"name"`
	MAC  net.HardwareAddr `json:"mac"`
	MTU  int              `json:"mtu,omitempty"`
}

// newBridge gives the bridge an address of its own; without, it would take the
// least of its ports' and change it as they come and go.
func newBridge(name string, mtu int) bridge {
	return bridge{Name: name, MAC: macOf("bridge", name), MTU: mtu}
}

// String returns "bridge NAME".
func (b bridge) String() string { return "bridge " + b.Name }

func (b bridge) lines(unmake bool) []string {
	if unmake {
		return []string{"ip link delete " + b.Name}
	}
	mtu := ""
	if b.MTU != 0 {
		mtu = fmt.Sprintf(" mtu %d", b.MTU)
	}
	return []string{
		fmt.Sprintf("ip link add %s address %v%s group %d type bridge", b.Name, b.MAC, mtu, groupOf(b.Name)),
		fmt.Sprintf("ip link set %s alias %q", b.Name, aliasOf(b.Name)),
	}
}

func (b bridge) present(v *view) (bool, error) {
	l, ok := v.links[b.Name]
	if !ok {
		return false, nil
	}
	if !b.ours(l) {
		return false, &ConflictError{Want: b.String(), With: v.describe(l), Err: ErrExists}
	}
	return slices.Equal(l.Attrs().HardwareAddr, b.MAC) && (b.MTU == 0 || l.Attrs().MTU == b.MTU), nil
}

func (b bridge) ours(l netlink.Link) bool {
	return l.Type() == "bridge" && l.Attrs().Group == groupOf(b.Name)
}

func (b bridge) create(k *kernel) error {
	l, err := k.link(b.Name)
	if err != nil {
		return err
	}
	if l != nil && b.ours(l) {
		return b.adjust(k, l)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU, attrs.Group = b.Name, b.MAC, b.MTU, groupOf(b.Name)
	if err := k.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		if err == unix.EEXIST { // made since we looked
			return &ConflictError{Want: b.String(), With: "an interface of that name", Err: ErrExists}
		}
		return fmt.Errorf("making it: %w", err)
	}
	if l, err = k.existing(b.Name); err != nil {
		return err
	}
	return k.nl.LinkSetAlias(l, aliasOf(b.Name))
}

// adjust gives a bridge of ours the address and MTU it should have.
func (b bridge) adjust(k *kernel, l netlink.Link) error {
	if !slices.Equal(l.Attrs().HardwareAddr, b.MAC) {
		if err := k.nl.LinkSetHardwareAddr(l, b.MAC); err != nil {
			return fmt.Errorf("setting its address: %w", err)
		}
	}
	if b.MTU != 0 && l.Attrs().MTU != b.MTU {
		if err := k.nl.LinkSetMTU(l, b.MTU); err != nil {
			return fmt.Errorf("setting its MTU: %w", err)
		}
	}
	return k.nl.LinkSetAlias(l, aliasOf(b.Name))
}

func (b bridge) destroy(k *kernel) error {
	l, err := k.link(b.Name)
	if err != nil || l == nil || !b.ours(l) {
		return err
	}
	return gone(k.nl.LinkDel(l))
}

// gone makes a success of not finding what was to be deleted.
func gone(err error) error {
	switch err {
	case unix.ENODEV, unix.ENOENT, unix.EADDRNOTAVAIL, unix.EINVAL, fs.ErrNotExist:
		return nil
	}
	return err
}

// up is a link that is switched on.
type up struct {
	Link string `json:"link"`
}

// String returns "link NAME up".
func (u up) String() string { return "link " + u.Link + " up" }

func (u up) lines(unmake bool) []string {
	state := "up"
	if unmake {
		state = "down"
	}
	return []string{"ip link set " + u.Link + " " + state}
}

func (u up) present(v *view) (bool, error) {
	l, ok := v.links[u.Link]
	return ok && l.Attrs().Flags&net.FlagUp != 0, nil
}

func (u up) create(k *kernel) error {
	l, err := k.existing(u.Link)
	if err != nil {
		return err
	}
	return k.nl.LinkSetUp(l)
}

func (u up) destroy(k *kernel) error {
	l, err := k.link(u.Link)
	if err != nil || l == nil {
		return err
	}
	return gone(k.nl.LinkSetDown(l))
}

// groupOf is the device group (see ip-link(8)) of everything that belongs to
// the network of a bridge. The kernel sets it as it makes a link, so that there
// is no moment at which a link of ours could be taken for another's.
func groupOf(bridge string) uint32 {
	sum := sha256.Sum256([]byte("rig netsetup group " + bridge))
	// Not negative for those who read it as an int, and far from the small
	// numbers that people use.
	return binary.BigEndian.Uint32(sum[:])&0x3fffffff | 0x40000000
}

// aliasOf is what `ip link` shows beside a link of ours.
func aliasOf(bridge string) string { return "rig " + bridge }
