package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// askEvery is how often it is asked who has an address. A single frame may get lost
// where a port of the bridge has just come up.
const askEvery = 100 * time.Millisecond

// TakenError says that a machine's address on the bridge is somebody else's.
type TakenError struct {
	Machine, Bridge string
	Address         netip.Addr
	// MAC is who answers for the address, Port the bridge's port behind which it is,
	// "" if that is not known.
	MAC  net.HardwareAddr
	Port string
}

// Error names who has the address, and what to do.
func (e *TakenError) Error() string {
	behind := ""
	if e.Port != "" {
		behind = ", behind its port " + e.Port
	}
	return fmt.Sprintf("%s cannot have its address %v: on %s it is taken by %v%s; give that another address, or take it off the bridge",
		e.Machine, e.Address, e.Bridge, e.MAC, behind)
}

// arp is the payload of a frame of RFC 826, for IPv4 on Ethernet.
type arp struct {
	Hardware, Protocol             uint16
	HardwareLength, ProtocolLength uint8
	Operation                      uint16
	SenderMAC                      [6]byte
	SenderIP                       [4]byte
	TargetMAC                      [6]byte
	TargetIP                       [4]byte
}

// probeFor asks who has an address, of nobody who could be remembered (RFC 5227).
func probeFor(address netip.Addr, from net.HardwareAddr) []byte {
	var frame bytes.Buffer
	_ = binary.Write(&frame, binary.BigEndian, arp{
		Hardware: unix.ARPHRD_ETHER, Protocol: unix.ETH_P_IP, HardwareLength: 6, ProtocolLength: 4,
		Operation: 1, SenderMAC: [6]byte(from), TargetIP: address.As4(),
	})
	return frame.Bytes()
}

// parseARP returns who says that which address is his, in a request or an answer.
func parseARP(frame []byte) (netip.Addr, net.HardwareAddr, bool) {
	var a arp
	_, err := binary.Decode(frame, binary.BigEndian, &a)
	if err != nil || a.Hardware != unix.ARPHRD_ETHER || a.Protocol != unix.ETH_P_IP || a.HardwareLength != 6 || a.ProtocolLength != 4 {
		return netip.Addr{}, nil, false
	}
	return netip.AddrFrom4(a.SenderIP), a.SenderMAC[:], a.SenderIP != [4]byte{}
}

// openARP opens a socket for the frames on an interface of a network namespace.
func openARP(netns string, link *net.Interface) (socket *os.File, err error) {
	err = inNetns(netns, func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		socket = os.NewFile(uintptr(fd), "arp")
		return os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: arpProtocol, Ifindex: link.Index}))
	})
	return socket, err
}

// arpProtocol is ETH_P_ARP in the network's byte order.
var arpProtocol = binary.NativeEndian.Uint16([]byte{unix.ETH_P_ARP >> 8, unix.ETH_P_ARP & 0xff})

// conflict asks on a bridge for addresses until ctx ends, and returns nil then, or sooner
// a [*TakenError] about one that a MAC address other than own answers for.
func conflict(ctx context.Context, netns, bridge string, addresses []netip.Addr, own net.HardwareAddr) error {
	var link *net.Interface
	err := inNetns(netns, func() (err error) {
		link, err = net.InterfaceByName(bridge)
		return err
	})
	if err != nil {
		return err
	}
	socket, err := openARP(netns, link)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", bridge, err)
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { _ = socket.SetReadDeadline(time.Unix(1, 0)) })()
	for ctx.Err() == nil {
		if err := ask(socket, link, addresses); err != nil {
			return fmt.Errorf("ask on %s: %w", bridge, err)
		}
		address, mac, err := answer(ctx, socket, addresses, own)
		if mac != nil {
			return &TakenError{Bridge: bridge, Address: address, MAC: mac, Port: portOf(netns, link, mac)}
		}
		if err != nil {
			return fmt.Errorf("listen on %s: %w", bridge, err)
		}
	}
	return nil
}

// ask asks once for each address.
func ask(socket *os.File, link *net.Interface, addresses []netip.Addr) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	everybody := &unix.SockaddrLinklayer{Protocol: arpProtocol, Ifindex: link.Index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	var errs []error
	err = raw.Control(func(fd uintptr) {
		for _, address := range addresses {
			errs = append(errs, unix.Sendto(int(fd), probeFor(address, link.HardwareAddr), 0, everybody))
		}
	})
	err = errors.Join(append(errs, err)...)
	if errors.Is(err, unix.ENETDOWN) { // nobody is on a bridge that is not up yet
		return nil
	}
	return err
}

// answer listens for a while, or until ctx ends, and returns who else has one of the
// addresses. The MAC is nil if nobody said so.
func answer(ctx context.Context, socket *os.File, addresses []netip.Addr, own net.HardwareAddr) (netip.Addr, net.HardwareAddr, error) {
	if err := socket.SetReadDeadline(time.Now().Add(askEvery)); err != nil || ctx.Err() != nil {
		return netip.Addr{}, nil, err
	}
	frame := make([]byte, 64)
	for {
		n, err := socket.Read(frame)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENETDOWN):
			return netip.Addr{}, nil, nil
		case err != nil:
			return netip.Addr{}, nil, err
		}
		address, mac, ok := parseARP(frame[:n])
		if ok && slices.Contains(addresses, address) && !bytes.Equal(mac, own) {
			return address, mac, nil
		}
	}
}

// portOf returns the name of the bridge's port behind which a MAC address is, or "".
func portOf(netns string, bridge *net.Interface, mac net.HardwareAddr) (name string) {
	_ = inNetns(netns, func() error {
		known, err := netlink.NeighList(0, unix.AF_BRIDGE)
		if err != nil {
			return err
		}
		for _, n := range known {
			if n.MasterIndex == bridge.Index && bytes.Equal(n.HardwareAddr, mac) {
				port, err := netlink.LinkByIndex(n.LinkIndex)
				if err != nil {
					return err
				}
				name = port.Attrs().Name
			}
		}
		return nil
	})
	return name
}
