package netsetup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// give moves a pair's local end into a machine, as nspawn does.
func (l *lab) give(t *testing.T, p Pair, ns *namespace, addr string) {
	t.Helper()
	l.host.sh(t, fmt.Sprintf("ip link set %s netns /proc/%d/fd/%d", p.Local(), os.Getpid(), ns.file.Fd()))
	ns.sh(t, fmt.Sprintf("ip link set %s up; ip address add %s/24 dev %s; ip route add default via 10.0.0.1", p.Local(), addr, p.Local()))
}

func TestPairs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	long := Pair{Machine: "pas-r11p11.prolo"}
	l.network.Pairs = []Pair{{Machine: "gw"}, long}
	l.network.MTU = 1400
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	for _, name := range []string{"gw.local", "gw.bridge", "pas-r11p11.prolo.bridge"} {
		if s := l.host.sh(t, "ip -d link show "+name); !strings.Contains(s, "mtu 1400") {
			t.Errorf("%s is not there with an MTU of 1400:\n%s", name, s)
		}
	}

	other := newNamespace(t)
	l.give(t, l.network.Pairs[0], l.machine, machineAddr)
	l.give(t, long, other, "10.0.0.11")
	for _, to := range []string{worldAddr, "10.0.0.11"} {
		if err := ping(t, l.machine, to); err != nil {
			t.Error(err)
		}
	}
	if s := l.machine.sh(t, "ip link show gw.local"); !strings.Contains(s, MAC("vz-prolo", "gw").String()) {
		t.Errorf("the machine's MAC is not %v:\n%s", MAC("vz-prolo", "gw"), s)
	}
	// The machine stops, and nspawn gives the interface back; it starts again.
	l.machine.sh(t, fmt.Sprintf("ip link set gw.local netns /proc/%d/fd/%d", os.Getpid(), l.host.file.Fd()))
	checkVerified(t, h, l.network)
	l.give(t, l.network.Pairs[0], l.machine, machineAddr)
	if err := ping(t, l.machine, worldAddr); err != nil {
		t.Error("after a stop and a start:", err)
	}
	// The machine is killed, and takes its interface with it.
	l.machine.sh(t, "ip link delete gw.local")
	if err := h.Verify(t.Context(), l.network); !errors.Is(err, ErrDrift) || !strings.Contains(err.Error(), "pair gw.local and gw.bridge is missing") {
		t.Errorf("without the pair Verify says %v", err)
	}
	l.network.Pairs = l.network.Pairs[:1]
	l.apply(t, h)
	checkVerified(t, h, l.network)
	if s := l.host.sh(t, "ip -br link"); strings.Contains(s, long.Port()) || !strings.Contains(s, "gw.local") {
		t.Errorf("want gw.local and no %s:\n%s", long.Port(), s)
	}
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}

func TestPairNameTaken(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gw.local", "gw.bridge"} {
		l := newLab(t)
		l.network.Pairs = []Pair{{Machine: "gw"}}
		l.host.sh(t, "ip link add "+name+" type bridge")
		before := l.host.picture(t)
		err := l.host.open(t, l.state).Apply(t.Context(), l.network)
		if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "interface "+name+": taken by the bridge "+name) {
			t.Errorf("with a foreign %s Apply says %v", name, err)
		}
		before.compare(t, l.host.picture(t))
	}
}

func TestInterfaceName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ machine, suffix, want string }{
		{"gw", ".local", "gw.local"},
		{"rhfs0123", ".bridge", "rhfs0123.bridge"},
		{"pas-r11p11.prolo", ".bridge", "passrfnc.bridge"},
		{"pas-r11p12.prolo", ".bridge", "pasqwzd3.bridge"},
		{strings.Repeat("x", 64), "", "xxxxxxxxxxptqqb"},
	} {
		got := InterfaceName(test.machine, test.suffix)
		if len(got) > maxName || !strings.HasSuffix(got, test.suffix) {
			t.Errorf("InterfaceName(%q, %q) = %q, too long or without its suffix", test.machine, test.suffix, got)
		}
		if got != test.want {
			t.Errorf("InterfaceName(%q, %q) = %q, want %q as ever", test.machine, test.suffix, got, test.want)
		}
	}
}

func FuzzInterfaceName(f *testing.F) {
	f.Add("pas-r11p11.prolo")
	f.Fuzz(func(t *testing.T, machine string) {
		if checkMachine(machine) != nil {
			t.Skip()
		}
		for _, suffix := range []string{".local", ".bridge"} {
			if err := checkName("interface", InterfaceName(machine, suffix)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestValidatePorts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		n    Network
		want string
	}{
		"twice":         {Network{Pairs: []Pair{{Machine: "gw"}, {Machine: "gw"}}}, "would both have an interface gw.bridge"},
		"tap and pair":  {Network{Pairs: []Pair{{Machine: "gw"}}, Taps: []Tap{{Name: "gw.local"}}}, "would both have an interface gw.local"},
		"bridge":        {Network{Taps: []Tap{{Name: "br0"}}}, "the bridge and tap br0 would both"},
		"machine name":  {Network{Pairs: []Pair{{Machine: "a b"}}}, `has a ' '`},
		"exact":         {Network{Pairs: []Pair{{Machine: "pas-r11p11"}}, ExactNames: true}, "interface name pas-r11p11.bridge has 17 bytes"},
		"multicast MAC": {Network{Pairs: []Pair{{"gw", net.HardwareAddr{1, 0, 0, 0, 0, 1}}}}, "is a multicast address"},
		"short MAC":     {Network{Pairs: []Pair{{"gw", net.HardwareAddr{2}}}}, "has 1 bytes"},
		"same MAC":      {Network{Pairs: []Pair{{"gw", MAC("br0", "web")}, {Machine: "web"}}}, "have the same MAC"},
		"tap name":      {Network{Taps: []Tap{{Name: "vnet%d"}}}, `has a '%'`},
		"owner":         {Network{Taps: []Tap{{Name: "vnet0", Owner: -1}}}, "negative"},
	} {
		test.n.Bridge = "br0"
		if err := test.n.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestTap(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun")
	}
	l := newLab(t)
	l.network.Taps = []Tap{{Name: "vnet0", Owner: 12345}, {Name: "vnet1", MultiQueue: true}}
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	for name, want := range map[string]string{"vnet0": "persist on user 12345", "vnet1": "multi_queue"} {
		if s := l.host.sh(t, "ip -d link show "+name); !strings.Contains(s, want) {
			t.Errorf("%s is not %s:\n%s", name, want, s)
		}
	}

	// A virtual machine, as far as the host can tell: it asks who has 10.0.0.1.
	tap := openTap(t, l.host, "vnet0")
	me, bridge := net.HardwareAddr{2, 0, 0, 0, 0, 9}, newBridge("vz-prolo", 0).MAC
	request := append(net.HardwareAddr{255, 255, 255, 255, 255, 255}, me...)
	request = append(request, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	request = append(append(request, me...), 10, 0, 0, 9)
	request = append(request, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1)
	answer := append(append(net.HardwareAddr{}, me...), bridge...)
	answer = append(answer, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2)
	answer = append(append(answer, bridge...), 10, 0, 0, 1)
	if err := exchange(tap, request, answer); err != nil {
		t.Error(err)
	}
	tap.Close()
	checkVerified(t, h, l.network)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}

// TestTapOfAStranger: a tap that somebody makes after the plan stays his.
func TestTapOfAStranger(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.host.sh(t, "ip tuntap add vnet0 mode tap")
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	err := h.do(t.Context(), "test", "", func() error { return Tap{Name: "vnet0"}.link(l.network).create(h.kernel) })
	if !errors.Is(err, ErrExists) {
		t.Errorf("error %v, want ErrExists", err)
	}
	before.compare(t, l.host.picture(t))
}

func openTap(t *testing.T, ns *namespace, name string) *os.File {
	t.Helper()
	var fd int
	ns.do(t, func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		req, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	})
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { f.Close() })
	return f
}

// exchange sends a frame until one comes back that begins as wanted: the bridge
// does not forward from a port in its first moment.
func exchange(tap *os.File, request, want []byte) error {
	b := make([]byte, 2048)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		if _, err := tap.Write(request); err != nil && !errors.Is(err, unix.EIO) {
			return err
		}
		tap.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for {
			n, err := tap.Read(b)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil && err != io.EOF {
				return err
			}
			if bytes.HasPrefix(b[:n], want) {
				return nil
			}
		}
	}
	return errors.New("no answer came through the tap")
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		isolation      Isolation
		masquerade     bool
		machines       bool // one machine reaches the other
		toHost         bool // a machine reaches the host
		fromOutside    bool // the world reaches a machine that it has a route to
		fromHost, away bool // the host reaches a machine; a machine reaches the world
	}{
		"none":     {Isolation{}, true, true, true, true, true, true},
		"machines": {Isolation{Machines: true}, true, false, true, true, true, true},
		"host":     {Isolation{Host: true}, true, true, false, true, true, true},
		"outside":  {Isolation{Outside: true}, true, true, true, false, true, true},
		"all":      {Isolation{true, true, true}, true, false, false, false, true, true},
		"no NAT":   {Isolation{Host: true, Outside: true}, false, true, false, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.network.Isolation, l.network.Masquerade = test.isolation, test.masquerade
			l.network.Pairs = []Pair{{Machine: "gw"}, {Machine: "web"}}
			before := l.host.picture(t)
			h := l.host.open(t, l.state)
			l.apply(t, h)
			checkVerified(t, h, l.network)
			web := newNamespace(t)
			l.give(t, l.network.Pairs[0], l.machine, machineAddr)
			l.give(t, l.network.Pairs[1], web, "10.0.0.100")
			l.world.sh(t, "ip route add 10.0.0.0/24 via "+hostAddr)
			for _, path := range []struct {
				what string
				from *namespace
				to   string
				want bool
			}{
				{"machine to machine", l.machine, "10.0.0.100", test.machines},
				{"machine to host", l.machine, "10.0.0.1", test.toHost},
				{"machine to the host's uplink", l.machine, hostAddr, test.toHost},
				{"outside to machine", l.world, machineAddr, test.fromOutside},
				{"host to machine", l.host, machineAddr, test.fromHost},
				{"machine to outside", l.machine, worldAddr, test.away},
			} {
				wait := silence
				if path.want {
					wait = answerTime
				}
				if err := pingFor(t, path.from, path.to, wait); (err == nil) != path.want {
					t.Errorf("%s: %v, want it to work: %v", path.what, err, path.want)
				}
			}
			if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
				t.Fatal(err)
			}
			before.compare(t, l.host.picture(t))
		})
	}
}

func TestIsolationIncludesPortsOfOthers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Isolation.Machines = true
	h := l.host.open(t, l.state)
	l.apply(t, h)
	l.attach(t)
	l.neighbour(t, "vb-web", "10.0.0.100")
	l.apply(t, h)
	checkVerified(t, h, l.network)
	if err := pingFor(t, l.machine, "10.0.0.100", silence); err == nil {
		t.Error("one machine reaches the other")
	}
	l.network.Isolation.Machines = false
	l.apply(t, h)
	if err := ping(t, l.machine, "10.0.0.100"); err != nil {
		t.Error("isolated no longer:", err)
	}
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Prefixes = append(l.network.Prefixes, netip.MustParsePrefix("fd10::1/64"))
	l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("[::]:8080"), netip.MustParseAddrPort("[fd10::fe]:80")}}
	l.host.sh(t, "ip address add 2001:db8::2/64 dev uplink nodad; ip route add default via 2001:db8::1")
	l.world.sh(t, "ip address add 2001:db8::1/64 dev eth0 nodad")
	// The kernel adds an address's own route in the background, without DAD too.
	l.host.sh(t, "until ip -6 route show table local | grep -q '^local 2001:db8::2 '; do sleep 0.01; done")
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	l.attach(t)
	l.machine.sh(t, "ip address add fd10::fe/64 dev host0 nodad; ip route add default via fd10::1")
	serve(t, l.world, "[2001:db8::1]:80")
	serve(t, l.machine, "[fd10::fe]:80")

	if _, seen, err := dial(t, l.machine, "[2001:db8::1]:80"); seen != "2001:db8::2" {
		t.Errorf("the world sees the machine as %q (%v), want 2001:db8::2", seen, err)
	}
	if _, seen, err := dial(t, l.world, "[2001:db8::2]:8080"); seen != "2001:db8::1" {
		t.Errorf("the machine sees the world as %q (%v), want 2001:db8::1", seen, err)
	}
	if err := ping(t, l.machine, worldAddr); err != nil {
		t.Error("IPv4 beside it:", err)
	}
	if s := l.host.sh(t, "cat /proc/sys/net/ipv6/conf/uplink/accept_ra"); s != "2\n" {
		t.Errorf("the uplink's accept_ra is %q: the host no longer hears its routers", s)
	}
	l.detach(t)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}
