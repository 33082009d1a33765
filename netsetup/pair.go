package netsetup

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Pair is a pair of virtual interfaces for one machine that stays when the
// machine stops. One end, MACHINE.bridge, is on the bridge; the other,
// MACHINE.local, is for the machine: systemd-nspawn takes it with
// --network-interface=, and gives it back when it ends in good order. If it does
// not, the kernel deletes the pair, and the next Apply makes it anew with the
// same names and address.
type Pair struct {
	// Machine is the machine's name. Where an interface's name would not fit
	// into 15 bytes it is shortened: see InterfaceName.
	Machine string

	// MAC is the address of the machine's end; empty is MAC(bridge, machine).
	MAC net.HardwareAddr
}

// Local returns the name of the machine's end.
func (p Pair) Local() string { return InterfaceName(p.Machine, ".local") }

// Port returns the name of the bridge's end.
func (p Pair) Port() string { return InterfaceName(p.Machine, ".bridge") }

func (p Pair) veth(n Network) veth {
	mac := p.MAC
	if len(mac) == 0 {
		mac = MAC(n.Bridge, p.Machine)
	}
	return veth{Bridge: n.Bridge, Machine: p.Machine, MAC: mac, MTU: n.MTU}
}

// veth is a Pair as it is made.
type veth struct {
	Bridge  string           `json:"bridge"`
	Machine string           `json:"machine"`
	MAC     net.HardwareAddr `json:"mac"` // of the machine's end
	MTU     int              `json:"mtu,omitempty"`
}

func (w veth) pair() Pair { return Pair{Machine: w.Machine} }

// String returns "pair MACHINE.local and MACHINE.bridge".
func (w veth) String() string {
	return fmt.Sprintf("pair %s and %s", w.pair().Local(), w.pair().Port())
}

func (w veth) lines(unmake bool) []string {
	local, port := w.pair().Local(), w.pair().Port()
	if unmake {
		return []string{"ip link delete " + port}
	}
	mtu := ""
	if w.MTU != 0 {
		mtu = fmt.Sprintf(" mtu %d", w.MTU)
	}
	lines := []string{
		fmt.Sprintf("ip link add %s address %v%s group %d type veth peer name %s address %v%s",
			port, macOf("port", w.Bridge, w.Machine), mtu, groupOf(w.Bridge), local, w.MAC, mtu),
		fmt.Sprintf("ip link set %s master %s up alias %q", port, w.Bridge, aliasOf(w.Bridge)+": "+w.Machine),
	}
	if full := w.Machine + ".bridge"; full != port {
		lines = append(lines, fmt.Sprintf("ip link property add %s altname %s", port, full))
	}
	return lines
}

func (w veth) present(v *view) (bool, error) {
	l, err := v.marked(w.pair().Port(), "veth", w.Bridge)
	if err != nil {
		return false, err
	}
	if l == nil {
		// The other end's name may be taken while this one's is free.
		_, err := v.marked(w.pair().Local(), "veth", w.Bridge)
		return false, err
	}
	return v.plugged(l, w.Bridge) && (w.MTU == 0 || l.Attrs().MTU == w.MTU), nil
}

func (w veth) create(k *kernel) error {
	port := w.pair().Port()
	bridge, err := k.bridgeIndex(w.Bridge)
	if err != nil {
		return err
	}
	err = w.add(k, bridge)
	if errors.Is(err, unix.EEXIST) {
		return w.adjust(k)
	}
	if err != nil {
		return fmt.Errorf("making it: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = port
	return k.mark(&netlink.Veth{LinkAttrs: attrs}, w.Bridge, w.Machine, w.Machine+".bridge")
}

// add makes the pair, puts its end on the bridge and switches it on, all in one
// message: of a thousand pairs, four messages each is most of the time.
func (w veth) add(k *kernel, bridge int) error {
	req := k.request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	up := nl.NewIfInfomsg(unix.AF_UNSPEC)
	up.Flags, up.Change = unix.IFF_UP, unix.IFF_UP
	req.AddData(up)
	mac := macOf("port", w.Bridge, w.Machine)
	for _, a := range w.attrs(w.pair().Port(), mac) {
		req.AddData(a)
	}
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(groupOf(w.Bridge))))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(bridge))))

	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	for _, a := range w.attrs(w.pair().Local(), w.MAC) {
		peer.AddChild(a)
	}
	req.AddData(info)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func (w veth) attrs(name string, mac net.HardwareAddr) []*nl.RtAttr {
	list := []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(unix.IFLA_ADDRESS, mac),
	}
	if w.MTU != 0 {
		list = append(list, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(w.MTU))))
	}
	return list
}

// adjust mends a pair that is there.
func (w veth) adjust(k *kernel) error {
	l, err := k.existing(w.pair().Port())
	if err != nil {
		return err
	}
	if l.Attrs().Group != groupOf(w.Bridge) { // made since we looked
		return &ConflictError{Want: "interface " + l.Attrs().Name, With: "an interface of that name", Err: ErrExists}
	}
	if w.MTU != 0 && l.Attrs().MTU != w.MTU {
		if err := k.nl.LinkSetMTU(l, w.MTU); err != nil {
			return fmt.Errorf("setting its MTU: %w", err)
		}
	}
	if err := k.mark(l, w.Bridge, w.Machine, w.Machine+".bridge"); err != nil {
		return err
	}
	return k.plug(l, w.Bridge)
}

func (w veth) destroy(k *kernel) error { return k.unlink(w.pair().Port(), w.Bridge) }
