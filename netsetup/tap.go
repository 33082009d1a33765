package netsetup

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tap is an interface on the bridge for a virtual machine. It stays when the
// virtual machine ends. QEMU takes it with -netdev
// tap,ifname=NAME,script=no,downscript=no.
type Tap struct {
	// Name is the interface's, such as "vnet0".
	Name string

	// Owner and Group are the IDs of the user, and of the group, that may open
	// it without privileges; 0 is nobody but root.
	Owner, Group int

	// MultiQueue makes a tap of several queues; whoever opens it has to ask for
	// them, too.
	MultiQueue bool
}

func (t Tap) link(n Network) tapLink {
	return tapLink{Bridge: n.Bridge, Tap: t, MTU: n.MTU}
}

// tapLink is a Tap as it is made.
type tapLink struct {
	Bridge string `json:"bridge"`
	Tap    Tap    `json:"tap"`
	MTU    int    `json:"mtu,omitempty"`
}

// String returns "tap NAME".
func (t tapLink) String() string { return "tap " + t.Tap.Name }

func (t tapLink) lines(unmake bool) []string {
	if unmake {
		return []string{"ip link delete " + t.Tap.Name}
	}
	add := "ip tuntap add " + t.Tap.Name + " mode tap"
	if t.Tap.Owner != 0 {
		add += fmt.Sprintf(" user %d", t.Tap.Owner)
	}
	if t.Tap.Group != 0 {
		add += fmt.Sprintf(" group %d", t.Tap.Group)
	}
	if t.Tap.MultiQueue {
		add += " multi_queue"
	}
	set := fmt.Sprintf("ip link set %s group %d", t.Tap.Name, groupOf(t.Bridge))
	if t.MTU != 0 {
		set += fmt.Sprintf(" mtu %d", t.MTU)
	}
	return []string{add, set, fmt.Sprintf("ip link set %s master %s up alias %q", t.Tap.Name, t.Bridge, t.alias())}
}

func (t tapLink) alias() string { return aliasOf(t.Bridge) + ": " + t.Tap.Name }

func (t tapLink) present(v *view) (bool, error) {
	l, err := v.marked(t.Tap.Name, "tuntap", t.Bridge)
	return l != nil && v.plugged(l, t.Bridge) && (t.MTU == 0 || l.Attrs().MTU == t.MTU), err
}

// create makes a tap that ends with the descriptor, gives it the network's
// mark, and only then makes it stay: killed at any point, it leaves a tap that is
// known as ours, or none.
func (t tapLink) create(k *kernel) error {
	l, err := k.link(t.Tap.Name)
	if err != nil {
		return err
	}
	if l != nil && l.Attrs().Group != groupOf(t.Bridge) { // made since we looked
		return &ConflictError{Want: "interface " + t.Tap.Name, With: "an interface of that name", Err: ErrExists}
	}
	if l != nil {
		return t.finish(k)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(t.Tap.Name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
	if t.Tap.MultiQueue {
		flags |= unix.IFF_MULTI_QUEUE
	}
	req.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return fmt.Errorf("making it: %w", err)
	}
	if err := t.own(fd); err != nil {
		return err
	}
	if err := t.finish(k); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
		return fmt.Errorf("making it stay: %w", err)
	}
	return nil
}

func (t tapLink) own(fd int) error {
	var errs []error
	if t.Tap.Owner != 0 {
		errs = append(errs, unix.IoctlSetInt(fd, unix.TUNSETOWNER, t.Tap.Owner))
	}
	if t.Tap.Group != 0 {
		errs = append(errs, unix.IoctlSetInt(fd, unix.TUNSETGROUP, t.Tap.Group))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("setting its owner: %w", err)
	}
	return nil
}

func (t tapLink) finish(k *kernel) error {
	l, err := k.existing(t.Tap.Name)
	if err != nil {
		return err
	}
	if err := k.nl.LinkSetGroup(l, int(groupOf(t.Bridge))); err != nil {
		return fmt.Errorf("marking it: %w", err)
	}
	if t.MTU != 0 {
		if err := k.nl.LinkSetMTU(l, t.MTU); err != nil {
			return fmt.Errorf("setting its MTU: %w", err)
		}
	}
	if err := k.mark(l, t.Bridge, t.Tap.Name, t.Tap.Name); err != nil {
		return err
	}
	return k.plug(l, t.Bridge)
}

func (t tapLink) destroy(k *kernel) error { return k.unlink(t.Tap.Name, t.Bridge) }
