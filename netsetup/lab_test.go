package netsetup

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lab is a host with an uplink to the world, and one machine.
//
//	world 203.0.113.1 ── 203.0.113.2 host 10.0.0.1 ── 10.0.0.254 machine
//
// The world has no route back to 10.0.0.0/24.
type lab struct {
	host, world, machine *namespace
	state                string
	network              Network
}

const (
	worldAddr   = "203.0.113.1"
	hostAddr    = "203.0.113.2"
	machineAddr = "10.0.0.254"
)

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{
		host: newNamespace(t), world: newNamespace(t), machine: newNamespace(t),
		state: t.TempDir(),
		network: Network{
			Bridge:     "vz-prolo",
			Prefixes:   []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
			Masquerade: true,
		},
	}
	wire(t, l.host, "uplink", l.world, "eth0")
	l.host.sh(t, "ip address add "+hostAddr+"/24 dev uplink; ip route add default via "+worldAddr)
	l.world.sh(t, "ip address add "+worldAddr+"/24 dev eth0")
	return l
}

// attach plugs the machine into the bridge, as systemd-nspawn does.
func (l *lab) attach(t *testing.T) {
	t.Helper()
	wire(t, l.host, "vb-gw", l.machine, "host0")
	l.host.sh(t, "ip link set vb-gw master "+l.network.Bridge)
	l.machine.sh(t, "ip address add "+machineAddr+"/24 dev host0; ip route add default via 10.0.0.1")
}

func (l *lab) detach(t *testing.T) { l.host.sh(t, "ip link delete vb-gw") }

func (l *lab) apply(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Apply(t.Context(), l.network); err != nil {
		t.Fatal(err)
	}
}

// ping sends echo requests from ns until one is answered.
func ping(t *testing.T, ns *namespace, to string) error { return pingFor(t, ns, to, answerTime) }

// pingFor is ping for what may have to stay unanswered.
func pingFor(t *testing.T, ns *namespace, to string, wait time.Duration) error {
	t.Helper()
	var c *net.IPConn
	ns.do(t, func() (err error) {
		c, err = net.ListenIP("ip4:icmp", nil)
		return err
	})
	defer c.Close()
	id := byte(pingID.Add(1))
	echo := []byte{8, 0, 0, 0, 0x7a, id, 0, 1}
	sum := checksum(echo)
	echo[2], echo[3] = byte(sum>>8), byte(sum)
	b := make([]byte, 1500)
	for deadline := time.Now().Add(wait); ; {
		if _, err := c.WriteTo(echo, &net.IPAddr{IP: net.ParseIP(to)}); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(silence / 2))
		for {
			n, from, err := c.ReadFrom(b)
			if err == nil && n >= 8 && b[0] == 0 && b[4] == 0x7a && b[5] == id && from.String() == to {
				return nil
			}
			if err != nil && time.Now().After(deadline) {
				return fmt.Errorf("no answer from %s: %w", to, err)
			}
			if err != nil {
				break
			}
		}
	}
}

var pingID atomic.Int32

const (
	// answerTime is far longer than an answer takes.
	answerTime = 10 * time.Second
	// silence is how long a test waits for an answer that must not come.
	silence = 700 * time.Millisecond
)

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// serve answers TCP connections in ns with the address that they seem to come
// from, until the test ends.
func serve(t *testing.T, ns *namespace, addr string) {
	t.Helper()
	var l net.Listener
	ns.do(t, func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	// The other end may be gone by then, and its FIN with it.
	ctx := t.Context()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP)
				b := make([]byte, 64)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					c.Write(b[:n])
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
}

// dial connects from ns and returns what serve at the other end says.
func dial(t *testing.T, ns *namespace, addr string) (net.Conn, string, error) {
	t.Helper()
	return dialFor(t, ns, addr, answerTime)
}

// dialFor is dial for what may have to fail.
func dialFor(t *testing.T, ns *namespace, addr string, wait time.Duration) (net.Conn, string, error) {
	t.Helper()
	var c net.Conn
	var err error
	ns.do(t, func() error {
		c, err = net.DialTimeout("tcp", addr, wait)
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(answerTime))
	b := make([]byte, 64)
	n, err := c.Read(b)
	c.SetDeadline(time.Time{})
	return c, string(b[:n]), err
}

// watch counts the IPv4 packets from a subnet that arrive on a link of ns.
func watch(t *testing.T, ns *namespace, link string, from netip.Prefix) (count func() int) {
	t.Helper()
	var fd int
	ns.do(t, func() (err error) {
		l, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		const ipv4 = 0x0008 // ETH_P_IP in network order
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, ipv4)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ipv4, Ifindex: l.Index})
	})
	t.Cleanup(func() { unix.Close(fd) })
	return func() int {
		seen, b := 0, make([]byte, 2048)
		for {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err == syscall.EAGAIN {
				return seen
			}
			if err != nil {
				t.Fatal(err)
			}
			if n >= 20 && from.Contains(netip.AddrFrom4([4]byte(b[12:16]))) {
				seen++
			}
		}
	}
}

// sendRST sends a TCP reset that belongs to no connection.
func sendRST(t *testing.T, ns *namespace, from, to string) {
	t.Helper()
	src, dst := netip.MustParseAddr(from).As4(), netip.MustParseAddr(to).As4()
	seg := []byte{0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x14, 0, 0, 0, 0, 0, 0}
	pseudo := append(append(append([]byte{}, src[:]...), dst[:]...), 0, 6, 0, byte(len(seg)))
	sum := checksum(append(pseudo, seg...))
	seg[16], seg[17] = byte(sum>>8), byte(sum)
	ns.do(t, func() error {
		c, err := net.ListenIP("ip4:tcp", &net.IPAddr{IP: net.IP(src[:])})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteTo(seg, &net.IPAddr{IP: net.IP(dst[:])})
		return err
	})
}

// listenUDP returns what waits for the next datagram at an address of ns.
func listenUDP(t *testing.T, ns *namespace, addr string) (next func() string) {
	t.Helper()
	var c net.PacketConn
	ns.do(t, func() (err error) {
		c, err = net.ListenPacket("udp", addr)
		return err
	})
	t.Cleanup(func() { c.Close() })
	return func() string {
		t.Helper()
		c.SetReadDeadline(time.Now().Add(answerTime))
		b := make([]byte, 512)
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Error(err)
		}
		return string(b[:n])
	}
}

// sendUDP sends one datagram.
func sendUDP(t *testing.T, ns *namespace, from, to, text string) {
	t.Helper()
	ns.do(t, func() error {
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte(text))
		return err
	})
}
