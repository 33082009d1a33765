package netsetup

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// hosted is a Host of the test host itself, where daemons run. The tests that use it
// do not run side by side.
type hosted struct {
	*Host
	t   *testing.T
	ctx context.Context
}

func openHosted(t *testing.T) *hosted {
	t.Helper()
	testhost.Require(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	h, err := Open(Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return &hosted{h, t, ctx}
}

func (h *hosted) sh(script string) string {
	h.t.Helper()
	out, err := exec.CommandContext(h.ctx, "sh", "-ec", script).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// world is a namespace beyond an uplink of the test host's.
func (h *hosted) world(t *testing.T) *namespace {
	t.Helper()
	ns := newNamespace(t)
	h.sh(fmt.Sprintf("ip link add rigup type veth peer name eth0 netns /proc/%d/fd/%d; ip link set rigup up; ip address add %s/24 dev rigup", os.Getpid(), ns.file.Fd(), hostAddr))
	t.Cleanup(func() { exec.Command("ip", "link", "delete", "rigup").Run() })
	ns.sh(t, "ip link set eth0 up; ip address add "+worldAddr+"/24 dev eth0")
	return ns
}

// machine is a namespace on a bridge of the test host.
func (h *hosted) machine(t *testing.T, bridge string) *namespace {
	t.Helper()
	ns := newNamespace(t)
	h.sh(fmt.Sprintf("ip link add vb-rig type veth peer name host0 netns /proc/%d/fd/%d; ip link set vb-rig master %s up", os.Getpid(), ns.file.Fd(), bridge))
	t.Cleanup(func() { exec.Command("ip", "link", "delete", "vb-rig").Run() })
	ns.sh(t, "ip link set host0 up; ip address add 10.98.0.254/24 dev host0; ip route add default via 10.98.0.1")
	return ns
}

// deleted returns what closes when a link has been deleted.
func (h *hosted) deleted(t *testing.T, link string) <-chan struct{} {
	t.Helper()
	updates, stop, gone := make(chan netlink.LinkUpdate, 64), make(chan struct{}), make(chan struct{})
	if err := netlink.LinkSubscribe(updates, stop); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(gone)
		defer close(stop)
		for {
			select {
			case u := <-updates:
				if u.Header.Type == unix.RTM_DELLINK && u.Link.Attrs().Name == link {
					return
				}
			case <-h.ctx.Done():
				return
			}
		}
	}()
	return gone
}

func hostedNetwork() Network {
	return Network{Bridge: "vz-rigtest", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.98.0.1/24")}, Masquerade: true}
}

// TestBridgeBesideNetworkd makes a bridge of a name that networkd takes for a zone's.
func TestBridgeBesideNetworkd(t *testing.T) {
	h := openHosted(t)
	h.sh("systemctl start systemd-networkd")
	h.world(t)
	n := hostedNetwork()
	n.Pairs = []Pair{{Machine: "rigm"}}
	if err := h.Apply(h.ctx, n); err != nil {
		t.Fatal(err)
	}
	defer h.Remove(h.ctx, n.Bridge)
	m := h.machine(t, n.Bridge)
	check := func(when string) {
		t.Helper()
		if err := h.Verify(h.ctx, n); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		s := h.sh("networkctl list --no-legend; ip -4 -o address show dev vz-rigtest")
		for _, link := range []string{"vz-rigtest", "rigm.bridge", "rigm.local"} {
			for line := range strings.Lines(s) {
				if f := strings.Fields(line); len(f) == 5 && f[1] == link && slices.Contains([]string{"configuring", "configured", "failed"}, f[4]) {
					t.Errorf("%s: networkd manages %s: %s", when, link, line)
				}
			}
		}
		if strings.Count(s, " inet ") != 1 || !strings.Contains(s, "10.98.0.1/24") {
			t.Errorf("%s: the bridge's addresses are not ours:\n%s", when, s)
		}
	}
	check("at once")
	h.sh("networkctl reload; systemctl restart systemd-networkd; /usr/lib/systemd/systemd-networkd-wait-online --any --timeout=10 || true")
	check("after networkd started anew")
	z := Zone{Name: "rigtest", Prefixes: n.Prefixes}
	var taken *ConflictError
	if err := h.ApplyZone(h.ctx, z); !errors.As(err, &taken) || !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "Remove it first") {
		t.Errorf("a zone where the bridge is: %v, want it refused", err)
	}
	check("after a zone was refused")
	if err := ping(t, m, worldAddr); err != nil {
		t.Error(err)
	}
	exec.Command("ip", "link", "delete", "vb-rig").Run()
	if err := h.Remove(h.ctx, n.Bridge); err != nil {
		t.Fatal(err)
	}
	if s := h.sh("ls /run/systemd/network"); strings.Contains(s, "rig") {
		t.Errorf("files are left: %s", s)
	}
	// A file that comes before every other of ours.
	const first = "/etc/systemd/network/00-a.network"
	if err := os.WriteFile(first, []byte("[Match]\nName=vz-*\n\n[Network]\nDHCP=no\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(first)
	var shadow *ShadowError
	if err := h.Apply(h.ctx, n); !errors.As(err, &shadow) || shadow.File != first {
		t.Errorf("beside %s: %v, want it named", first, err)
	}
}

// TestBridgeBesideManagedUplink refuses to bridge what networkd would take back.
func TestBridgeBesideManagedUplink(t *testing.T) {
	h := openHosted(t)
	const file = "/run/systemd/network/10-rigup.network"
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("[Match]\nName=rigup\n\n[Network]\nAddress=203.0.113.2/24\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // or networkd would take the address off the next one of that name
		os.Remove(file)
		exec.Command("networkctl", "reload").Run()
	})
	h.sh("systemctl start systemd-networkd; networkctl reload")
	h.world(t)
	if err := waitConfigured(h.ctx, "rigup"); err != nil {
		t.Fatal(err)
	}
	before := h.sh("ip -o address; ip route; ls /run/systemd/network")
	n := Network{Bridge: "vz-rigtest", Uplink: "rigup", Bridged: &Bridged{Consent: true}}
	err := h.Apply(h.ctx, n)
	if !errors.Is(err, ErrNotSupported) || !strings.Contains(err.Error(), "systemd-networkd manages it") {
		t.Errorf("Apply: %v, want it refused for networkd", err)
	}
	if after := h.sh("ip -o address; ip route; ls /run/systemd/network"); after != before {
		t.Errorf("the host has changed:\n%s", cmp.Diff(before, after))
	}
}

// TestFirewalld has the real firewalld guard the host, and reload.
func TestFirewalld(t *testing.T) {
	h := openHosted(t)
	h.sh("systemctl start firewalld || { journalctl -n 30 -u firewalld; false; }")
	defer exec.Command("systemctl", "stop", "firewalld").Run()
	h.world(t)
	n := hostedNetwork()
	// The chains of a zone that has come into use stay until firewalld is reloaded.
	dump := func() string { return counters.ReplaceAllString(h.sh("firewall-cmd --reload; nft list ruleset"), "") }
	before := dump()
	if err := h.Apply(h.ctx, n); err != nil {
		t.Fatal(err)
	}
	defer h.Remove(h.ctx, n.Bridge)
	m := h.machine(t, n.Bridge)
	if err := h.Verify(h.ctx, n); err != nil {
		t.Error(err)
	}
	packet := Packet{Src: netip.MustParseAddr("10.98.0.254"), Dst: netip.MustParseAddr(worldAddr), Protocol: "icmp"}
	explain := func(passes bool) {
		t.Helper()
		if e, err := h.Explain(h.ctx, packet); err != nil || e.Passes != passes {
			t.Errorf("Explain: %+v (%v), want it to pass: %v", e, err, passes)
		}
	}
	if err := ping(t, m, worldAddr); err != nil {
		t.Errorf("%v\n%s", err, h.sh("firewall-cmd --get-active-zones"))
	}
	explain(true)
	// Without the zone firewalld stops it, and Explain says so.
	h.sh("firewall-cmd --zone=trusted --remove-interface=vz-rigtest")
	if err := pingFor(t, m, worldAddr, silence); err == nil {
		t.Error("firewalld lets out what is in no zone: this test shows nothing")
	}
	explain(false)
	if err := h.Verify(h.ctx, n); !errors.Is(err, ErrDrift) {
		t.Errorf("Verify: %v, want drift", err)
	}
	if err := h.Apply(h.ctx, n); err != nil {
		t.Fatal(err)
	}
	explain(true)
	// A reload forgets the zone; the Host adds it again when it hears of it.
	h.sh("firewall-cmd --reload")
	if err := ping(t, m, worldAddr); err != nil {
		t.Errorf("after a reload: %v\n%s", err, h.sh("firewall-cmd --get-active-zones"))
	}
	h.sh("systemctl restart firewalld")
	if err := ping(t, m, worldAddr); err != nil {
		t.Errorf("after a restart: %v\n%s", err, h.sh("firewall-cmd --get-active-zones"))
	}
	exec.Command("ip", "link", "delete", "vb-rig").Run()
	if err := h.Remove(h.ctx, n.Bridge); err != nil {
		t.Fatal(err)
	}
	if s := h.sh("firewall-cmd --get-active-zones"); strings.Contains(s, "vz-rigtest") {
		t.Errorf("left in a zone:\n%s", s)
	}
	if after := dump(); after != before {
		t.Errorf("the rules differ:\n%s", cmp.Diff(before, after))
	}
}

// TestZoneBesideDocker has a zone's machine get out where Docker's rules drop what is
// forwarded.
func TestZoneBesideDocker(t *testing.T) {
	h := openHosted(t)
	h.sh("systemctl start systemd-networkd; iptables-save > /run/rig-before; iptables-restore testdata/docker.rules")
	defer exec.Command("sh", "-c", "iptables-restore /run/rig-before; iptables -t filter -F; iptables -t nat -F; iptables -X; iptables -t nat -X; iptables -P FORWARD ACCEPT; rm /run/rig-before").Run()
	h.world(t)
	before := counters.ReplaceAllString(h.sh("iptables-save"), "")
	z := Zone{Name: "rigtest", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.98.0.1/24")}, Masquerade: true}
	if err := h.ApplyZone(h.ctx, z); err != nil {
		t.Fatal(err)
	}
	defer h.Remove(h.ctx, z.Bridge())
	h.sh("ip link add vz-rigtest type bridge")
	defer exec.Command("ip", "link", "delete", "vz-rigtest").Run()
	m := h.machine(t, z.Bridge())
	if err := h.WaitZone(h.ctx, z); err != nil {
		t.Fatal(err)
	}
	if err := ping(t, m, worldAddr); err != nil {
		t.Errorf("%v\n%s", err, h.sh("iptables-save"))
	}
	if changes, err := h.PlanZone(h.ctx, z); err != nil || len(changes) > 0 {
		t.Errorf("a second ApplyZone would change %v (%v)", changes, err)
	}
	// It is the rules that do it.
	h.sh("iptables -D DOCKER-USER 1; iptables -D FORWARD 1")
	if err := pingFor(t, m, worldAddr, silence); err == nil {
		t.Error("Docker's rules let everything out: this test shows nothing")
	}
	if err := h.ApplyZone(h.ctx, z); err != nil {
		t.Error(err)
	}
	if err := ping(t, m, worldAddr); err != nil {
		t.Error(err)
	}
	h.sh("ip link delete vb-rig; ip link delete vz-rigtest")
	if err := h.Remove(h.ctx, z.Bridge()); err != nil {
		t.Fatal(err)
	}
	if after := counters.ReplaceAllString(h.sh("iptables-save"), ""); after != before {
		t.Errorf("the rules differ:\n%s", cmp.Diff(before, after))
	}
}

// TestPairOutlivesMachine stops and starts a real machine that was given the end of a
// pair.
func TestPairOutlivesMachine(t *testing.T) {
	h := openHosted(t)
	root := testroot.Clone(t, testroot.Trixie)
	n := hostedNetwork()
	n.Pairs = []Pair{{Machine: "rigm"}}
	if err := h.Apply(h.ctx, n); err != nil {
		t.Fatal(err)
	}
	defer h.Remove(h.ctx, n.Bridge)
	mac := h.sh("cat /sys/class/net/rigm.local/address")
	for round := range 2 {
		h.sh("udevadm settle --timeout=30; systemd-run --quiet --unit=rigm -p Type=notify -p KillMode=mixed -p Delegate=yes systemd-nspawn --quiet --boot --keep-unit --notify-ready=yes --machine=rigm --network-interface=rigm.local --directory=" + root + " || { journalctl -n 30 -u rigm; false; }")
		defer exec.Command("systemctl", "kill", "--signal=KILL", "rigm.service").Run()
		if _, err := os.Stat("/sys/class/net/rigm.local"); err == nil {
			t.Errorf("round %d: rigm.local has not gone into the machine", round)
		}
		leader := strings.TrimSpace(h.sh("machinectl show -p Leader --value rigm"))
		in := "nsenter -n -t " + leader + " "
		if got := h.sh(in + "cat /proc/self/net/dev; " + in + "ip -o link show rigm.local"); !strings.Contains(got, strings.TrimSpace(mac)) {
			t.Errorf("round %d: the machine's interface has another MAC than %s:\n%s", round, mac, got)
		}
		h.sh(in + "ip address add 10.98.0.254/24 dev rigm.local; " + in + "ip link set rigm.local up")
		h.sh(in + "ping -c 1 -W 10 10.98.0.1")
		h.sh("machinectl poweroff rigm; while systemctl is-active -q rigm; do systemctl show -p ActiveState rigm >/dev/null; done")
		if _, err := os.Stat("/sys/class/net/rigm.local"); err != nil {
			t.Errorf("round %d: rigm.local has not come back: %v", round, err)
		}
		if err := h.Verify(h.ctx, n); err != nil {
			t.Errorf("round %d: after the stop: %v", round, err)
		}
	}
	// Killed, the machine takes the pair with it; the next Apply makes it anew.
	h.sh("udevadm settle --timeout=30; systemd-run --quiet --unit=rigm -p Type=notify -p Delegate=yes systemd-nspawn --quiet --boot --keep-unit --notify-ready=yes --machine=rigm --network-interface=rigm.local --directory=" + root)
	gone := h.deleted(t, "rigm.bridge")
	h.sh("systemctl kill --signal=KILL rigm; while systemctl is-active -q rigm; do :; done; systemctl reset-failed rigm || true")
	<-gone
	if err := h.Apply(h.ctx, n); err != nil {
		t.Fatal(err)
	}
	if again := h.sh("cat /sys/class/net/rigm.local/address"); again != mac {
		t.Errorf("made anew with the MAC %s, was %s", again, mac)
	}
	if err := h.Remove(h.ctx, n.Bridge); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob("/sys/class/net/rigm*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
