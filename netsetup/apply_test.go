package netsetup

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestApplyChangesOnlyTheDifference(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)

	l.network.Prefixes = append(l.network.Prefixes, netip.MustParsePrefix("10.0.1.1/24"))
	changes, err := h.Plan(t.Context(), l.network)
	if err != nil {
		t.Fatal(err)
	}
	if s := changes.String(); len(changes) != 3 || strings.Contains(s, "10.0.0.") {
		t.Errorf("another prefix is not two rules and an address but:\n%s", s)
	}
	l.apply(t, h)
	checkVerified(t, h, l.network)

	l.network.Prefixes = l.network.Prefixes[1:]
	l.network.MTU = 1400
	l.apply(t, h)
	checkVerified(t, h, l.network)
	if s := l.host.sh(t, "ip -o address show vz-prolo; ip link show vz-prolo; iptables-save"); strings.Contains(s, "10.0.0.") || !strings.Contains(s, "mtu 1400") {
		t.Errorf("the first prefix is still there, or the MTU is not 1400:\n%s", s)
	}
	l.network.Masquerade = false
	l.apply(t, h)
	if s := l.host.sh(t, "iptables-save; cat /proc/sys/net/ipv4/ip_forward"); strings.Contains(s, "rig") || !strings.HasSuffix(s, "0\n") {
		t.Errorf("rules or forwarding are still there:\n%s", s)
	}
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}

func checkVerified(t *testing.T, h *Host, n Network) {
	t.Helper()
	if err := h.Verify(t.Context(), n); err != nil {
		t.Error(err)
	}
}

func TestVerifyFindsDrift(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]struct{ script, missing string }{
		"rule":       {"iptables -t nat -D RIG-vz-prolo-POST 2", "MASQUERADE is missing"},
		"jump":       {"iptables -D FORWARD 1", "-A FORWARD"},
		"chain":      {"iptables -t nat -F POSTROUTING; iptables -t nat -F RIG-vz-prolo-POST; iptables -t nat -X RIG-vz-prolo-POST", "chain nat/RIG-vz-prolo-POST is missing"},
		"address":    {"ip address flush dev vz-prolo", "address 10.0.0.1/24 on vz-prolo is missing"},
		"down":       {"ip link set vz-prolo down", "link vz-prolo up is missing"},
		"forwarding": {"echo 0 > /proc/sys/net/ipv4/ip_forward", "IPv4 forwarding is missing"},
		"bridge":     {"ip link delete vz-prolo", "bridge vz-prolo is missing"},
		"order":      {"iptables -D RIG-vz-prolo-FWD 5; iptables -I RIG-vz-prolo-FWD -s 10.0.0.0/24 -i vz-prolo -m comment --comment 'rig vz-prolo: out' -j ACCEPT", "should not be there"},
		"foreign":    {"iptables -I RIG-vz-prolo-FWD 2 -i vz-prolo -j DROP", "-A RIG-vz-prolo-FWD -i vz-prolo -j DROP should not be there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			before := l.host.picture(t)
			h := l.host.open(t, l.state)
			l.apply(t, h)
			l.host.sh(t, harm.script)

			err := h.Verify(t.Context(), l.network)
			var drift *DriftError
			if !errors.Is(err, ErrDrift) || !errors.As(err, &drift) || !strings.Contains(err.Error(), harm.missing) {
				t.Errorf("after %q Verify says %v, want %q", harm.script, err, harm.missing)
			}
			l.apply(t, h)
			checkVerified(t, h, l.network)
			l.attach(t)
			if err := ping(t, l.machine, worldAddr); err != nil {
				t.Error("after Apply has mended it:", err)
			}
			l.detach(t)
			l.host.sh(t, harm.script)
			if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
				t.Errorf("after %q: %v", harm.script, err)
			}
			before.compare(t, l.host.picture(t))
		})
	}
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		want   error
		with   string
	}{
		"bridge":    {"ip link add vz-prolo type bridge", ErrExists, "systemd-nspawn's zone vz-prolo, down"},
		"veth":      {"ip link add vz-prolo type veth peer name x", ErrExists, "zone vz-prolo"},
		"interface": {"ip link add eth7 type bridge; ip address add 10.0.0.77/16 dev eth7", ErrOverlap, "the bridge eth7 with 10.0.0.77/16, down"},
		"docker":    {"ip link add br-0123456789ab type bridge; ip address add 10.0.0.1/25 dev br-0123456789ab", ErrOverlap, "Docker's bridge br-0123456789ab"},
		"route":     {"ip route add 10.0.0.0/8 via 203.0.113.1", ErrOverlap, "the route to 10.0.0.0/8 by the interface uplink"},
		"blackhole": {"ip route add blackhole 10.0.0.128/25", ErrOverlap, "the route to 10.0.0.128/25"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.host.sh(t, test.script)
			before := l.host.picture(t)
			h := l.host.open(t, l.state)
			err := h.Apply(t.Context(), l.network)
			var conflict *ConflictError
			if !errors.As(err, &conflict) || !errors.Is(err, test.want) || !strings.Contains(conflict.With, test.with) {
				t.Errorf("got %v, want %v with %s", err, test.want, test.with)
			}
			if test.want == ErrExists && !errors.Is(err, fs.ErrExist) {
				t.Errorf("%v is not fs.ErrExist", err)
			}
			// What is not ours is not ours to remove.
			if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
				t.Error(err)
			}
			before.compare(t, l.host.picture(t))
			checkEmpty(t, l.state)
		})
	}
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 0 {
		t.Errorf("left in the state directory: %v (%v)", files, err)
	}
}

func TestApplyUndoesItsFailure(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	changes, err := h.Plan(t.Context(), l.network)
	if err != nil {
		t.Fatal(err)
	}
	for i := range changes {
		ctx := &failing{Context: t.Context(), after: i + 1}
		err := h.Apply(ctx, l.network)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled before change %d: %v", i, err)
		}
		checkEmpty(t, l.state)
		if i%4 == 0 || i == len(changes)-1 {
			before.compare(t, l.host.picture(t))
		}
	}
	l.apply(t, h)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}

// failing is a context that ends when it has been asked a number of times.
type failing struct {
	context.Context
	after int
}

func (f *failing) Err() error {
	if f.after--; f.after < 0 {
		return context.Canceled
	}
	return nil
}

func TestRemoveIsRepeatable(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.host.picture(t)
	first, other := l.host.open(t, l.state), l.host.open(t, l.state)
	l.apply(t, first)
	if err := other.Remove(t.Context(), l.network.Bridge); !errors.Is(err, ErrBusy) {
		t.Errorf("removing what another holds: %v, want ErrBusy", err)
	}
	checkVerified(t, other, l.network)
	first.Close()
	for range 3 {
		if err := other.Remove(t.Context(), l.network.Bridge); err != nil {
			t.Fatal(err)
		}
	}
	before.compare(t, l.host.picture(t))
	checkEmpty(t, l.state)
}

func TestRemoveWithoutJournal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	// Forwarding is the one thing that only the journal knows of.
	l.host.sh(t, "echo 1 > /proc/sys/net/ipv4/ip_forward")
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	h.Close()
	if err := os.RemoveAll(l.state); err != nil {
		t.Fatal(err)
	}
	h = l.host.open(t, l.state)
	for range 2 {
		if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
			t.Fatal(err)
		}
	}
	after := l.host.picture(t)
	before.Chains, after.Chains, before.Rules = "", "", after.Rules
	if strings.Contains(after.Rules, "RIG") || strings.Contains(after.Rules, "rig") {
		t.Errorf("rules are left:\n%s", after.Rules)
	}
	before.compare(t, after)
}

func TestForwardingIsPutBackByTheLast(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.host.sh(t, "echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects")
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	second := Network{Bridge: "vz-two", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}, Masquerade: true}
	if err := h.Apply(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	checkVerified(t, h, second)
	if err := h.Remove(t.Context(), second.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}

func TestIptablesMissing(t *testing.T) {
	l := newLab(t)
	t.Setenv("PATH", t.TempDir())
	h := l.host.open(t, l.state)
	_, err := h.Plan(t.Context(), l.network)
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Debian != "iptables" || missing.Arch != "iptables" || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v, want a MissingError with the packages", err)
	}
	if err := h.Apply(t.Context(), l.network); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v, want exec.ErrNotFound", err)
	}
	// Without masquerading nobody needs it.
	l.network.Masquerade = false
	if err := h.Apply(t.Context(), l.network); err != nil {
		t.Error(err)
	}
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Error(err)
	}
	checkEmpty(t, l.state)
}
