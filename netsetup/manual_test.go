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
