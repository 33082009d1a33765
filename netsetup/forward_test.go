package netsetup

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestForwards(t *testing.T) {
	t.Parallel()
	for _, masquerade := range []bool{true, false} {
		l := newLab(t)
		l.network.Masquerade = masquerade
		l.network.Forwards = []Forward{
			{"tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort(machineAddr + ":80")},
			{"tcp", netip.MustParseAddrPort(hostAddr + ":8443"), netip.MustParseAddrPort(machineAddr + ":443")},
		}
		// With it, the bridge would have to send a machine's frame back to the port
		// that it came from.
		l.host.sh(t, "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables")
		before := l.host.picture(t)
		h := l.host.open(t, l.state)
		l.apply(t, h)
		checkVerified(t, h, l.network)
		l.attach(t)
		other := l.neighbour(t, "vb-web", "10.0.0.100")
		serve(t, l.machine, machineAddr+":80")
		serve(t, l.machine, machineAddr+":443")

		for _, test := range []struct {
			name string
			from *namespace
			to   string
			seen string // the address that the machine sees
		}{
			{"outside", l.world, hostAddr + ":8080", worldAddr},
			{"one address", l.world, hostAddr + ":8443", worldAddr},
			{"host", l.host, hostAddr + ":8080", hostAddr},
			{"host at the bridge", l.host, "10.0.0.1:8080", "10.0.0.1"},
			{"host at loopback", l.host, "127.0.0.1:8080", "10.0.0.1"},
			{"another machine", other, hostAddr + ":8080", "10.0.0.1"},
			{"another machine at the bridge", other, "10.0.0.1:8080", "10.0.0.1"},
			{"the machine itself", l.machine, hostAddr + ":8080", "10.0.0.1"},
			{"not listened at", l.host, "127.0.0.1:8443", ""},
			{"not forwarded", l.world, hostAddr + ":80", ""},
		} {
			wait := answerTime
			if test.seen == "" {
				wait = silence
			}
			_, seen, err := dialFor(t, test.from, test.to, wait)
			if seen != test.seen {
				t.Errorf("masquerade %v, %s: the machine sees %q (%v), want %q", masquerade, test.name, seen, err, test.seen)
			}
		}
		l.detach(t)
		l.host.sh(t, "ip link delete vb-web")
		if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
			t.Fatal(err)
		}
		before.compare(t, l.host.picture(t))
	}
}

// neighbour plugs in another machine.
func (l *lab) neighbour(t *testing.T, link, addr string) *namespace {
	t.Helper()
	ns := newNamespace(t)
	wire(t, l.host, link, ns, "host0")
	l.host.sh(t, "ip link set "+link+" master "+l.network.Bridge)
	ns.sh(t, "ip address add "+addr+"/24 dev host0; ip route add default via 10.0.0.1")
	return ns
}

func TestForwardsOpenNoLoopback(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort(machineAddr + ":80")}}
	h := l.host.open(t, l.state)
	l.apply(t, h)
	l.attach(t)
	serve(t, l.host, "127.0.0.1:631")
	// A machine that would reach for what only the host may.
	l.machine.sh(t, "echo 1 > /proc/sys/net/ipv4/conf/host0/route_localnet; ip address flush dev lo; ip route add 127.0.0.0/8 via 10.0.0.1")
	if _, seen, err := dialFor(t, l.machine, "127.0.0.1:631", silence); err == nil {
		t.Errorf("the machine reaches the host's loopback address as %s", seen)
	}
	// It is the rule that keeps it out.
	l.host.sh(t, "iptables -D INPUT 1")
	if _, _, err := dial(t, l.machine, "127.0.0.1:631"); err != nil {
		t.Errorf("without the rule the machine should get in, or this test tells nothing: %v", err)
	}
}

func TestForwardToAPortInUse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	serve(t, l.host, ":22")
	l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("0.0.0.0:22"), netip.MustParseAddrPort(machineAddr + ":22")}}
	err := l.host.open(t, l.state).Apply(t.Context(), l.network)
	if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "tcp port 22") {
		t.Errorf("got %v, want ErrExists for port 22", err)
	}
	checkEmpty(t, l.state)
}

func TestValidateForwards(t *testing.T) {
	t.Parallel()
	n := Network{Bridge: "br0", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")}}
	for _, test := range []struct{ proto, listen, to, want string }{
		{"tcp", "0.0.0.0:80", "10.0.0.2:80", ""},
		{"udp", "[::]:53", "[fd00::2]:53", ""},
		{"sctp", "0.0.0.0:80", "10.0.0.2:80", "neither tcp nor udp"},
		{"tcp", "0.0.0.0:0", "10.0.0.2:80", "a port is missing"},
		{"tcp", "0.0.0.0:80", "10.0.1.2:80", "no machine's address"},
		{"tcp", "0.0.0.0:80", "10.0.0.1:80", "no machine's address"},
		{"tcp", "[::]:80", "10.0.0.2:80", "one family of addresses to another"},
		{"tcp", "[::1]:80", "[fd00::2]:80", "the loopback address"},
		{"tcp", "224.0.0.1:80", "10.0.0.2:80", "multicast"},
		{"tcp", "[::ffff:10.0.0.9]:80", "10.0.0.2:80", "mapped"},
	} {
		n.Forwards = []Forward{{test.proto, netip.MustParseAddrPort(test.listen), netip.MustParseAddrPort(test.to)}}
		err := n.Validate()
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v: got %v, want %q", n.Forwards[0], err, test.want)
		}
	}
	n.Forwards = []Forward{
		{"tcp", netip.MustParseAddrPort("0.0.0.0:80"), netip.MustParseAddrPort("10.0.0.2:80")},
		{"tcp", netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("10.0.0.3:80")},
	}
	if err := n.Validate(); err == nil || !strings.Contains(err.Error(), "compete for a port") {
		t.Errorf("got %v for two forwards of one port", err)
	}
}

func TestForwardUDP(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Forwards = []Forward{{"udp", netip.MustParseAddrPort("0.0.0.0:53"), netip.MustParseAddrPort(machineAddr + ":53")}}
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	l.attach(t)
	var server net.PacketConn
	l.machine.do(t, func() (err error) {
		server, err = net.ListenPacket("udp", machineAddr+":53")
		return err
	})
	defer server.Close()
	go func() { // ends with the server
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo(b[:n], from)
		}
	}()
	for name, from := range map[string]*namespace{"outside": l.world, "the host": l.host} {
		if err := ask(t, from, hostAddr+":53"); err != nil {
			t.Errorf("from %s: %v", name, err)
		}
	}
}

// ask sends a datagram until it comes back.
func ask(t *testing.T, ns *namespace, addr string) error {
	t.Helper()
	var c net.Conn
	ns.do(t, func() (err error) {
		c, err = net.Dial("udp", addr)
		return err
	})
	defer c.Close()
	var err error
	for deadline := time.Now().Add(answerTime); time.Now().Before(deadline); {
		if _, err = c.Write([]byte("gw.prolo?")); err != nil {
			continue
		}
		c.SetReadDeadline(time.Now().Add(silence))
		if _, err = c.Read(make([]byte, 512)); err == nil {
			return nil
		}
	}
	return err
}
