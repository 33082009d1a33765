package netsetup

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prologin/rig/internal/golden"
)

// TestPlanGolden compares the script that Plan prints with one that was read by
// a person, and has sh run it: it makes what Apply makes.
func TestPlanGolden(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.everything()
	l.network.MTU = 1400
	l.network.Pairs = append(l.network.Pairs, Pair{Machine: "pas-r11p11.prolo"})
	l.network.Prefixes[0] = netip.MustParsePrefix("10.0.0.1/24")
	h := l.host.open(t, l.state)
	plan, err := h.Plan(t.Context(), l.network)
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join("testdata", "plan.golden"), otherTunnels.ReplaceAllString(plan.String(), ""))

	l.host.sh(t, plan.String())
	if changes, err := h.Plan(t.Context(), l.network); err != nil || len(changes) != 0 {
		t.Errorf("after the script there is still to do (%v):\n%s", err, changes)
	}
	l.apply(t, h)
	undo, err := h.PlanRemove(t.Context(), l.network.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join("testdata", "remove.golden"), undo.String())
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	changes, err := h.PlanRemove(t.Context(), l.network.Bridge)
	if err != nil || len(changes) != 0 {
		t.Errorf("after Remove it would still remove %v (%v)", changes, err)
	}
}

// otherTunnels are interfaces that some kernels put into every namespace.
var otherTunnels = regexp.MustCompile(`(?m)^.*/(tunl|sit|gre|gretap|erspan|ip_vti|ip6_vti|ip6tnl|ip6gre)0/.*\n`)
