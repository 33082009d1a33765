package netsetup

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withNetworkManager starts it and returns the network card that it manages, which
// only a virtual test host has.
func (h *hosted) withNetworkManager(t *testing.T) (card string) {
	t.Helper()
	if _, err := exec.LookPath("nmcli"); err != nil {
		t.Skip("no NetworkManager here: make test-vm")
	}
	h.sh("systemctl start NetworkManager")
	t.Cleanup(func() {
		if out, err := exec.Command("systemctl", "stop", "NetworkManager").CombinedOutput(); err != nil {
			t.Errorf("stop NetworkManager: %v: %s", err, out)
		}
	})
	for line := range strings.Lines(h.sh("nmcli -t -f DEVICE,TYPE device")) {
		if device, kind, _ := strings.Cut(strings.TrimSpace(line), ":"); kind == "ethernet" {
			h.sh("nm-online -q -t 120 || { nmcli device; false; }")
			return device
		}
	}
	t.Skip("no network card for NetworkManager to manage")
	return ""
}

// TestBridgeBesideNetworkManager refuses to bridge what NetworkManager would take
// back, and otherwise gets along with it.
func TestBridgeBesideNetworkManager(t *testing.T) {
	h := openHosted(t)
	card := h.withNetworkManager(t)
	picture := func() string {
		return h.sh("ip -4 -o address | sed 's/valid_lft.*//'; ip route; nmcli -t -f DEVICE,STATE,CONNECTION device")
	}
	before := picture()
	bridged := Network{Bridge: "vz-rigtest", Uplink: card, Bridged: &Bridged{Consent: true}}
	err := h.Apply(h.ctx, bridged)
	if !errors.Is(err, ErrNotSupported) || !strings.Contains(err.Error(), "NetworkManager manages it") {
		t.Errorf("Apply: %v, want it refused for NetworkManager", err)
	}
	if after := picture(); after != before {
		t.Errorf("the host has changed:\n%s", cmp.Diff(before, after))
	}

	n := hostedNetwork()
	n.Pairs = []Pair{{Machine: "rigm"}}
	if err := h.Apply(h.ctx, n); err != nil {
		t.Fatal(err)
	}
	defer h.Remove(h.ctx, n.Bridge)
	check := func(when string) {
		t.Helper()
		if err := h.Verify(h.ctx, n); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		for line := range strings.Lines(h.sh("nmcli -t -f DEVICE,STATE device")) {
			device, state, _ := strings.Cut(strings.TrimSpace(line), ":")
			ours := device == n.Bridge || strings.HasPrefix(device, "rigm.")
			if ours && state != "unmanaged" && !strings.Contains(state, "externally") {
				t.Errorf("%s: NetworkManager has made %s %s", when, device, state)
			}
		}
	}
	check("at once")
	h.sh("systemctl restart NetworkManager; nm-online -q -t 120")
	check("after NetworkManager started anew")
	if err := h.Remove(h.ctx, n.Bridge); err != nil {
		t.Fatal(err)
	}
	if after := picture(); after != before {
		t.Errorf("the host has changed:\n%s", cmp.Diff(before, after))
	}

	// What it is told to leave alone is anybody's.
	h.sh("nmcli device set " + card + " managed no; ip address flush dev " + card + "; ip link set " + card + " up; ip address add 10.0.2.77/24 dev " + card)
	defer exec.Command("sh", "-c", "ip address flush dev "+card+"; nmcli device set "+card+" managed yes").Run()
	if err := h.Apply(h.ctx, bridged); err != nil {
		t.Fatalf("Apply to a card that NetworkManager leaves alone: %v", err)
	}
	defer h.Remove(h.ctx, bridged.Bridge)
	if s := h.sh("ip -4 -o address show dev vz-rigtest"); !strings.Contains(s, "10.0.2.77/24") {
		t.Errorf("the address has not moved: %s", s)
	}
	if err := h.Remove(h.ctx, bridged.Bridge); err != nil {
		t.Fatal(err)
	}
	if s := h.sh("ip -4 -o address show dev " + card); !strings.Contains(s, "10.0.2.77/24") {
		t.Errorf("the address has not come back: %s", s)
	}
}
