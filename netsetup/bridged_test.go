package netsetup

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// bridge makes the lab's network one that has the uplink on the bridge.
func (l *lab) bridge() {
	l.network = Network{Bridge: "vz-prolo", Uplink: DefaultUplink, Bridged: &Bridged{Consent: true}}
}

// uplinkWithAll gives the uplink of a lab some of everything.
func (l *lab) uplinkWithAll(t *testing.T) {
	l.host.sh(t, `ip address add 203.0.113.77/24 dev uplink label uplink:1
		ip address add 2001:db8::2/64 dev uplink
		ip address add 203.0.113.78/24 broadcast 203.0.113.255 dev uplink
		ip address add 192.0.2.1 peer 192.0.2.2 dev uplink
		ip route add 198.51.100.0/24 via 203.0.113.1 metric 50
		ip route add 192.0.2.0/24 via 198.51.100.9 dev uplink onlink table 77
		ip -6 route add default via 2001:db8::1 metric 77
		ip route add 192.0.2.128/25 dev uplink scope link src 203.0.113.77`)
}

func TestBridgedUplink(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bridge()
	l.uplinkWithAll(t)
	before := l.host.picture(t)
	serve(t, l.host, "203.0.113.2:80")
	c, _, err := dial(t, l.world, "203.0.113.2:80")
	if err != nil {
		t.Fatal(err)
	}
	echo := func() {
		t.Helper()
		c.SetDeadline(time.Now().Add(answerTime))
		if _, err := c.Write([]byte("still there?")); err != nil {
			t.Error(err)
		}
		if n, err := c.Read(make([]byte, 64)); err != nil || n == 0 {
			t.Errorf("a connection from before: %d bytes, %v", n, err)
		}
	}
	echo()
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	echo()
	if err := h.Confirm(t.Context(), "vz-prolo"); err != nil {
		t.Fatal(err)
	}
	if s := l.host.sh(t, "ip -o -4 address show dev vz-prolo; ip route; ip -4 address show dev uplink; ip route show table 77; ip -6 route"); !strings.Contains(s, "203.0.113.2/24") ||
		!strings.Contains(s, "default via 203.0.113.1 dev vz-prolo") || strings.Contains(s, "inet 203.0.113.2/24 scope global uplink") || strings.Contains(s, "dev uplink metric") {
		t.Errorf("addresses and routes have not moved:\n%s", s)
	}
	// A machine is in the uplink's network, under its own address.
	wire(t, l.host, "vb-gw", l.machine, "host0")
	l.host.sh(t, "ip link set vb-gw master vz-prolo")
	l.machine.sh(t, "ip address add 203.0.113.54/24 dev host0")
	if err := ping(t, l.machine, worldAddr); err != nil {
		t.Error(err)
	}
	if err := ping(t, l.world, "203.0.113.54"); err != nil {
		t.Error(err)
	}
	if err := ping(t, l.host, worldAddr); err != nil {
		t.Error(err)
	}
	again, err := h.Plan(t.Context(), l.network)
	if err != nil || len(again) != 0 {
		t.Errorf("a second Apply would change\n%v (%v)", again, err)
	}
	l.detach(t)
	if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
		t.Fatal(err)
	}
	echo()
	before.compare(t, l.host.picture(t))
	checkEmpty(t, l.state)
}

// TestBridgedUplinkByHand: the commands that Plan prints do what Apply does, and those
// of an undone one what Remove does.
func TestBridgedUplinkByHand(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bridge()
	l.uplinkWithAll(t)
	h := l.host.open(t, l.state)
	changes, err := h.Plan(t.Context(), l.network)
	if err != nil {
		t.Fatal(err)
	}
	look := func() picture {
		p := l.host.picture(t)
		return picture{Addresses: indices.ReplaceAllString(p.Addresses, ""), Routes: p.Routes}
	}
	before := look()
	l.apply(t, h)
	applied := look()
	if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
		t.Fatal(err)
	}
	l.host.sh(t, "set -e\n"+changes.String())
	applied.compare(t, look())
	var undo Changes
	for _, c := range slices.Backward(changes) {
		undo = append(undo, c.reverse())
	}
	l.host.sh(t, "set -e\n"+undo.String())
	before.compare(t, look())
}

// indices begin the lines of ip -o.
var indices = regexp.MustCompile(`(?m)^\d+: `)

// TestGuard has a machine answer DHCP where nobody asked it to.
func TestGuard(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{false, true} {
		l := newLab(t)
		l.bridge()
		l.network.Bridged.AllowDHCP = allowed
		h := l.host.open(t, l.state)
		l.apply(t, h)
		wire(t, l.host, "vb-gw", l.machine, "host0")
		l.host.sh(t, "ip link set vb-gw master vz-prolo")
		l.machine.sh(t, "ip address add 203.0.113.54/24 dev host0")
		if err := ping(t, l.machine, worldAddr); err != nil {
			t.Fatal(err)
		}
		offers := listenUDP(t, l.world, "203.0.113.1:68")
		for _, from := range []*namespace{l.machine, l.host} {
			addr := map[*namespace]string{l.machine: "203.0.113.54", l.host: hostAddr}[from]
			sendUDP(t, from, addr+":67", "203.0.113.1:68", "offer")
			sendUDP(t, from, addr+":6767", "203.0.113.1:68", "no offer")
			want := "no offer"
			if allowed {
				want = "offer"
			}
			if got := offers(); got != want {
				t.Errorf("AllowDHCP %v: the world heard %q from %s first, want %q", allowed, got, addr, want)
			}
			if allowed {
				offers()
			}
		}
		if !allowed {
			l.host.sh(t, "nft flush chain bridge rig-vz-prolo forward")
			var drift *DriftError
			if err := h.Verify(t.Context(), l.network); !errors.As(err, &drift) || !strings.Contains(err.Error(), "guard of vz-prolo") {
				t.Errorf("Verify: %v, want it to miss the guard", err)
			}
			l.apply(t, h)
			checkVerified(t, h, l.network)
		}
		if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
			t.Error(err)
		}
		if s := l.host.sh(t, "nft list tables"); strings.Contains(s, "rig") {
			t.Errorf("left: %s", s)
		}
	}
}

// logged closes a channel when a message is logged.
type logged struct {
	slog.Handler
	message string
	heard   chan struct{}
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		close(l.heard)
	}
	return nil
}

func TestUnconfirmedUplinkIsPutBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *lab, *Host){
		"by the timer": func(t *testing.T, l *lab, h *Host) {
			l.network.Bridged.ConfirmWithin = 50 * time.Millisecond
			l.apply(t, h)
			// Held by the timer until it is done.
			h.Close()
		},
		"by Close": func(t *testing.T, l *lab, h *Host) {
			l.apply(t, h)
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		},
		"by Sweep": func(t *testing.T, l *lab, h *Host) {
			l.network.Keep = true
			l.elsewhere(t)()
			swept, err := h.Sweep(t.Context())
			if err != nil || len(swept) != 1 {
				t.Errorf("swept %v (%v)", swept, err)
			}
		},
		"without a journal": func(t *testing.T, l *lab, h *Host) {
			l.elsewhere(t)()
			journals, _ := filepath.Glob(filepath.Join(l.state, "*", "*"+journalSuffix))
			for _, j := range journals {
				os.Remove(j)
			}
			if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.bridge()
			if name != "without a journal" { // which knows no labels
				l.uplinkWithAll(t)
			}
			before := l.host.picture(t)
			h := l.host.open(t, l.state)
			end(t, l, h)
			before.compare(t, l.host.picture(t))
			if err := ping(t, l.host, worldAddr); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDeadMan waits for the timer to have done its work by itself.
func TestDeadMan(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bridge()
	l.network.Bridged.ConfirmWithin = time.Millisecond
	before := l.host.picture(t)
	heard := make(chan struct{})
	h, err := Open(Options{Netns: l.host.path(), StateDir: l.state,
		Logger: slog.New(&logged{slog.DiscardHandler, "not confirmed in time: putting the uplink back", heard})})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	l.apply(t, h)
	var d *deadMan
	if err := h.do(t.Context(), "look", "", func() error { d = h.pending["vz-prolo"]; return nil }); err != nil {
		t.Fatal(err)
	}
	<-heard
	if d != nil {
		<-d.done
	}
	before.compare(t, l.host.picture(t))
	if err := h.Confirm(t.Context(), "vz-prolo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("confirming too late: %v, want it not to exist", err)
	}
}

// TestDeadManOfAFormer: the timer of a bridged uplink that went before it was confirmed
// does nothing to the network that has the bridge's name by then.
func TestDeadManOfAFormer(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*testing.T, *Host){
		"removed": func(t *testing.T, h *Host) {
			if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
				t.Fatal(err)
			}
		},
		"applied as another": func(*testing.T, *Host) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			masquerading := l.network
			l.bridge()
			h := l.host.open(t, l.state)
			l.apply(t, h)
			var d *deadMan
			if err := h.do(t.Context(), "look", "", func() error { d = h.pending["vz-prolo"]; return nil }); err != nil {
				t.Fatal(err)
			}
			between(t, h)
			l.network = masquerading
			l.apply(t, h)
			if d.timer.Stop() {
				t.Error("the timer runs still")
			}
			if err := h.putBack("vz-prolo", d); err != nil { // as the timer does
				t.Error(err)
			}
			checkVerified(t, h, l.network)
			if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestUplinkThatCannotBePutBack: without a journal, what the bridge has is all that is
// known of the uplink, and the bridge stays if that cannot be moved.
func TestUplinkThatCannotBePutBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bridge()
	l.elsewhere(t)()
	journals, err := filepath.Glob(filepath.Join(l.state, "*", "*"+journalSuffix))
	if err != nil || len(journals) != 1 {
		t.Fatal(journals, err)
	}
	if err := os.Remove(journals[0]); err != nil {
		t.Fatal(err)
	}
	const route = "198.51.100.0/24 nexthop via " + worldAddr + " dev vz-prolo nexthop via 203.0.113.9 dev vz-prolo"
	l.host.sh(t, "ip route add "+route)
	h := l.host.open(t, l.state)
	if err := h.Remove(t.Context(), "vz-prolo"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("Remove: %v, want ErrNotSupported", err)
	}
	if err := ping(t, l.host, worldAddr); err != nil {
		t.Error(err)
	}
	l.host.sh(t, "ip route delete "+route)
	if err := h.Remove(t.Context(), "vz-prolo"); err != nil {
		t.Error(err)
	}
	if err := ping(t, l.host, worldAddr); err != nil {
		t.Error(err)
	}
}

func TestBridgedUplinkAfterDeathAtEveryStep(t *testing.T) {
	t.Parallel()
	for name, death := range map[string]func(int) job{
		"Apply":  func(step int) job { return job{KillApply: step} },
		"Remove": func(step int) job { return job{KillRemove: step} },
	} {
		l := newLab(t)
		l.bridge()
		l.uplinkWithAll(t)
		before := l.host.picture(t)
		h := l.host.open(t, l.state)
		for step := 1; ; step++ {
			cmd, _ := l.start(t, death(step))
			cmd.Wait()
			if cmd.ProcessState.Sys().(interface{ Signaled() bool }).Signaled() == false {
				if step < 3 {
					t.Fatalf("%s: survived step %d", name, step)
				}
				break
			}
			if _, err := h.Sweep(t.Context()); err != nil {
				t.Fatalf("%s, step %d: %v", name, step, err)
			}
			before.compare(t, l.host.picture(t))
		}
	}
}

func TestBridgedUplinkRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		plant  string
		change func(*Network)
		want   error
	}{
		"no consent":        {"true", func(n *Network) { n.Bridged.Consent = false }, ErrConsent},
		"masquerading":      {"true", func(n *Network) { n.Masquerade = true }, ErrInvalid},
		"no uplink named":   {"true", func(n *Network) { n.Uplink = "" }, ErrInvalid},
		"no default route":  {"ip route delete default", func(*Network) {}, ErrNoUplink},
		"no such interface": {"true", func(n *Network) { n.Uplink = "eth9" }, ErrNoUplink},
		"a port already":    {"ip link add br9 type bridge; ip link set uplink master br9", func(*Network) {}, ErrNotSupported},
		"no Ethernet":       {"ip tuntap add tun9 mode tun", func(n *Network) { n.Uplink = "tun9" }, ErrNotSupported},
		"a bridge":          {"ip link add br9 type bridge", func(n *Network) { n.Uplink = "br9" }, ErrNotSupported},
		"several hops":      {"ip route add 198.51.100.0/24 nexthop via 203.0.113.1 nexthop via 203.0.113.9", func(*Network) {}, ErrNotSupported},
		"loopback":          {"true", func(n *Network) { n.Uplink = "lo" }, ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.bridge()
			l.host.sh(t, test.plant)
			test.change(&l.network)
			before := l.host.picture(t)
			h := l.host.open(t, l.state)
			if err := h.Apply(t.Context(), l.network); !errors.Is(err, test.want) {
				t.Errorf("Apply: %v, want %v", err, test.want)
			}
			before.compare(t, l.host.picture(t))
			checkEmpty(t, l.state)
		})
	}
}

func TestWireless(t *testing.T) {
	t.Parallel()
	const text = "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n" +
		" face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n" +
		" wlan0: 0000   54.  -56.  -256        0      0      0      0     32        0\n"
	for name, want := range map[string]bool{"wlan0": true, "wlan": false, "eth0": false, " face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22": false} {
		if isWireless(text, name) != want {
			t.Errorf("%s: wireless %v", name, !want)
		}
	}
}

// TestUplinkNamed lets machines out by one interface and no other.
func TestUplinkNamed(t *testing.T) {
	t.Parallel()
	for _, uplink := range []string{"uplink", DefaultUplink} {
		l := newLab(t)
		l.network.Uplink = uplink
		second := newNamespace(t)
		wire(t, l.host, "vpn", second, "eth0")
		l.host.sh(t, "ip address add 198.51.100.2/24 dev vpn")
		second.sh(t, "ip address add 198.51.100.1/24 dev eth0; ip route add default via 198.51.100.2")
		h := l.host.open(t, l.state)
		l.apply(t, h)
		checkVerified(t, h, l.network)
		l.attach(t)
		if err := ping(t, l.machine, worldAddr); err != nil {
			t.Error(err)
		}
		if err := pingFor(t, l.machine, "198.51.100.1", silence); err == nil {
			t.Errorf("uplink %s: a machine got out by another interface", uplink)
		}
		if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
			t.Error(err)
		}
	}
}
