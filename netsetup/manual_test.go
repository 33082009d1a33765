package netsetup_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/prologin/rig/netsetup"
)

func TestManualNeedsNoHost(t *testing.T) {
	t.Parallel()
	n := netsetup.Network{
		Bridge:     "vz-prolo",
		Prefixes:   []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
		Masquerade: true,
	}
	changes, err := n.Manual()
	if err != nil {
		t.Fatal(err)
	}
	script := changes.String()
	for _, line := range []string{
		"type bridge",
		"ip address add 10.0.0.1/24",
		"MASQUERADE",
		"ip link set vz-prolo up",
	} {
		if !strings.Contains(script, line) {
			t.Errorf("no %q in:\n%s", line, script)
		}
	}
	if _, err := (netsetup.Network{}).Manual(); err == nil {
		t.Error("a Network without a bridge has a manual")
	}
}

// TestManualOfBridges: what is looked up on a host is not looked for without one.
func TestManualOfBridges(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]netsetup.Network{
		"bridge link set dev vnet0 isolated on": {
			Bridge: "lab", Taps: []netsetup.Tap{{Name: "vnet0"}}, Isolation: netsetup.Isolation{Machines: true},
		},
		"ip link set eth0 master lab": {
			Bridge: "lab", Uplink: "eth0", Bridged: &netsetup.Bridged{Consent: true},
		},
	} {
		changes, err := n.Manual()
		if err != nil || !strings.Contains(changes.String(), want) {
			t.Errorf("%v, no %q in:\n%v", err, want, changes)
		}
	}
}
