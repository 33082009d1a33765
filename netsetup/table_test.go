package netsetup

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// openNftables opens the namespace to have rules in nftables' own tables.
func (ns *namespace) openNftables(t *testing.T, stateDir string) *Host {
	t.Helper()
	h, err := Open(Options{Netns: ns.path(), StateDir: stateDir, Nftables: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// TestNftables has packets pass without iptables.
func TestNftables(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort(machineAddr + ":80")}}
	before := l.host.picture(t)
	h := l.host.openNftables(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	l.attach(t)
	if s := l.host.sh(t, "iptables-save"); strings.Contains(s, "rig") {
		t.Errorf("rules of iptables:\n%s", s)
	}
	serve(t, l.world, worldAddr+":80")
	serve(t, l.machine, machineAddr+":80")
	c, from, err := dial(t, l.machine, worldAddr+":80")
	if err != nil || from != hostAddr {
		t.Fatalf("the world saw %q (%v), want the host's address", from, err)
	}
	leaked := watch(t, l.world, "eth0", netip.MustParsePrefix("10.0.0.0/24"))
	sendRST(t, l.machine, machineAddr, worldAddr)
	for name, at := range map[string]struct {
		ns   *namespace
		addr string
	}{"outside": {l.world, hostAddr + ":8080"}, "the host": {l.host, hostAddr + ":8080"}, "its loopback": {l.host, "127.0.0.1:8080"}} {
		if _, _, err := dial(t, at.ns, at.addr); err != nil {
			t.Errorf("the forward from %s: %v", name, err)
		}
	}
	// Explain reads the same rules.
	packet := Packet{Src: netip.MustParseAddr(worldAddr), Dst: netip.MustParseAddr(hostAddr), Protocol: "tcp", Port: 8080}
	if e, err := h.Explain(t.Context(), packet); err != nil || !e.Passes || len(e.Unsure) > 0 || !strings.Contains(strings.Join(e.Steps, "\n"), "is turned by") {
		t.Errorf("Explain: %+v (%v)", e, err)
	}
	// A change replaces the table under a connection.
	l.network.Isolation = Isolation{Outside: true, Host: true}
	l.apply(t, h)
	checkVerified(t, h, l.network)
	if _, err := c.Write([]byte("still there?")); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(make([]byte, 64)); err != nil || n == 0 {
		t.Errorf("the connection from before: %d bytes, %v", n, err)
	}
	if err := pingFor(t, l.machine, "10.0.0.1", silence); err == nil {
		t.Error("the machine reaches the host in spite of Isolation.Host")
	}
	if n := leaked(); n > 0 {
		t.Errorf("%d packets left the host under a machine's address", n)
	}
	l.host.sh(t, "nft delete rule ip rig-vz-prolo RIG-vz-prolo-FWD handle $(nft -a list chain ip rig-vz-prolo RIG-vz-prolo-FWD | sed -n 's/.*drop.*handle //p' | head -n 1)")
	if err := h.Verify(t.Context(), l.network); !errors.Is(err, ErrDrift) {
		t.Errorf("Verify: %v, want drift", err)
	}
	l.apply(t, h)
	checkVerified(t, h, l.network)
	l.detach(t)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
	checkEmpty(t, l.state)
}

// TestNftablesByHand has nft make what Plan prints, and compares.
func TestNftablesByHand(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.everything()
	l.network.Taps = nil
	h := l.host.openNftables(t, l.state)
	plan, err := h.Plan(t.Context(), l.network)
	if err != nil {
		t.Fatal(err)
	}
	var byHand strings.Builder
	for line := range strings.Lines(plan.String()) {
		if strings.HasPrefix(line, "nft ") {
			byHand.WriteString(line)
		}
	}
	other := newNamespace(t)
	other.sh(t, byHand.String())
	l.apply(t, h)
	for _, table := range []string{"ip rig-vz-prolo", "ip6 rig-vz-prolo"} {
		if d := cmp.Diff(other.sh(t, "nft list table "+table), l.host.sh(t, "nft list table "+table)); d != "" {
			t.Errorf("by hand and by us (-hand +us):\n%s", d)
		}
	}
}

// TestNftablesSalvaged loses the journal.
func TestNftablesSalvaged(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.everything()
	h := l.host.openNftables(t, l.state)
	l.apply(t, h)
	h.release(l.network.Bridge)
	l.host.do(t, func() error { return os.Remove(h.journalPath(l.network.Bridge)) })
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	if s := l.host.sh(t, "nft list ruleset; ip link show"); strings.Contains(s, "rig") || strings.Contains(s, "vz-") {
		t.Errorf("left:\n%s", s)
	}
}

// TestNftablesOverruled refuses what it could not keep.
func TestNftablesOverruled(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]string{
		"iptables":      "iptables -P FORWARD DROP",
		"the other one": "iptables-legacy -P FORWARD DROP",
		"nftables":      "nft add table inet t; nft add chain inet t c '{ type filter hook forward priority 0; policy drop; }'",
	} {
		l := newLab(t)
		l.host.sh(t, plant)
		before := l.host.picture(t)
		h := l.host.openNftables(t, l.state)
		if err := h.Apply(t.Context(), l.network); !errors.Is(err, ErrNotSupported) {
			t.Errorf("%s: %v, want ErrNotSupported", name, err)
		}
		before.compare(t, l.host.picture(t))
	}
}
