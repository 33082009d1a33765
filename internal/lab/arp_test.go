package lab

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// newStranger returns a network namespace with a bridge "vz-t", on which a host in another
// namespace, behind the port "port", has the address 192.168.5.9.
func newStranger(t *testing.T) (netns string, mac net.HardwareAddr) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot make network namespaces")
	}
	spaces := make([]string, 2)
	for i := range spaces {
		path, closeNetns, err := newNetns()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeNetns() })
		spaces[i] = path
	}
	there, err := os.Open(spaces[1])
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	do := func(netns string, f func() error) {
		t.Helper()
		if err := inNetns(netns, f); err != nil {
			t.Fatal(err)
		}
	}
	do(spaces[0], func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vz-t"}}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(there.Fd())}
		return errors.Join(netlink.LinkAdd(bridge), netlink.LinkAdd(veth), netlink.LinkSetMaster(veth, bridge),
			netlink.LinkSetUp(bridge), netlink.LinkSetUp(veth))
	})
	do(spaces[1], func() error {
		eth0, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		mac = eth0.Attrs().HardwareAddr
		address, err := netlink.ParseAddr("192.168.5.9/24")
		return errors.Join(err, netlink.AddrAdd(eth0, address), netlink.LinkSetUp(eth0))
	})
	return spaces[0], mac
}

// TestConflict asks a real kernel, which answers for the address that it has.
func TestConflict(t *testing.T) {
	t.Parallel()
	netns, mac := newStranger(t)
	free, taken := netip.MustParseAddr("192.168.5.8"), netip.MustParseAddr("192.168.5.9")
	err := conflict(t.Context(), netns, "vz-t", []netip.Addr{free, taken}, net.HardwareAddr{2, 0, 0, 0, 0, 1})
	var e *TakenError
	if !errors.As(err, &e) || e.Address != taken || e.MAC.String() != mac.String() || e.Port != "port" || e.Bridge != "vz-t" {
		t.Errorf("the address is %v's, behind port: %#v, %v", mac, e, err)
	}
	// Nobody else has these: the second is the machine's own already. It listens as
	// long as the machine boots.
	for _, address := range []netip.Addr{free, taken} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*askEvery)
		defer cancel()
		start := time.Now()
		if err := conflict(ctx, netns, "vz-t", []netip.Addr{address}, mac); err != nil || ctx.Err() == nil {
			t.Errorf("%v is free: %v after %v", address, err, time.Since(start))
		}
	}
	if err := conflict(t.Context(), netns, "none", []netip.Addr{free}, mac); err == nil {
		t.Error("it listened on an interface that is not there")
	}
}

func FuzzParseARP(f *testing.F) {
	f.Add(probeFor(netip.MustParseAddr("10.0.0.254"), net.HardwareAddr{2, 0, 0, 0, 0, 1}))
	f.Add([]byte("\x00\x01\x08\x00\x06\x04\x00\x02\x02\x00\x00\x00\x00\x01\x0a\x00\x00\xfe\xff\xff\xff\xff\xff\xff\x0a\x00\x00\x01"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		address, mac, ok := parseARP(frame)
		if ok && (len(frame) < 28 || len(mac) != 6 || !address.Is4() || address.IsUnspecified()) {
			t.Errorf("%x is of %v, who has %v", frame, mac, address)
		}
	})
}
