package netsetup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLegacyBackend has iptables be the one that is not nftables.
func TestLegacyBackend(t *testing.T) {
	l := newLab(t)
	legacyPath(t)

	l.everything()
	l.network.Isolation = Isolation{}
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	l.give(t, l.network.Pairs[0], l.machine, machineAddr)
	if err := ping(t, l.machine, worldAddr); err != nil {
		t.Error(err)
	}
	if s := l.host.sh(t, "iptables-legacy-save"); !strings.Contains(s, "RIG-vz-prolo-POST") {
		t.Errorf("the rules are not in the legacy tables:\n%s", s)
	}
	l.machine.sh(t, "ip link delete gw.local")
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	if s := l.host.sh(t, "iptables-legacy-save; ip6tables-legacy-save"); strings.Contains(s, "rig") || strings.Contains(s, "RIG") {
		t.Errorf("rules are left:\n%s", s)
	}
	before.compare(t, l.host.picture(t))
}

// TestOtherBackendHasRules refuses to make rules that would be only half of what
// packets have to pass.
func TestOtherBackendHasRules(t *testing.T) {
	if _, err := exec.LookPath("iptables-legacy"); err != nil {
		t.Skip("needs iptables-legacy")
	}
	for name, test := range map[string]struct {
		plant   string
		tables  []string
		refused bool
	}{
		"a rule":             {"iptables-legacy -A FORWARD -s 192.0.2.0/24 -j DROP", []string{"filter"}, true},
		"a policy":           {"iptables-legacy -P FORWARD DROP", []string{"filter"}, true},
		"a chain":            {"iptables-legacy -t nat -N somebodys", []string{"nat"}, true},
		"for IPv6":           {"ip6tables-legacy -A FORWARD -s 2001:db8::/32 -j DROP", []string{"filter"}, true},
		"nothing but tables": {"iptables-legacy -S; iptables-legacy -t mangle -S; ip6tables-legacy -S", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.everything()
			l.host.sh(t, test.plant)
			before, dump := l.host.picture(t), l.dump(t)
			h := l.host.open(t, l.state)
			err := h.Apply(t.Context(), l.network)
			var backend *BackendError
			if errors.As(err, &backend) != test.refused || (err != nil) != test.refused {
				t.Fatalf("Apply: %v, want it refused for the backend: %v", err, test.refused)
			}
			if test.refused && (!slices.Equal(backend.Tables, test.tables) || backend.Other != "legacy" || !errors.Is(err, ErrNotSupported)) {
				t.Errorf("refused with %+v, want the tables %v", backend, test.tables)
			}
			if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
				t.Error(err)
			}
			before.compare(t, l.host.picture(t))
			if after := l.dump(t); after != dump {
				t.Errorf("the rules differ:\n%s\nwere:\n%s", after, dump)
			}
		})
	}
}

// TestOtherBackendIsNft has the host's iptables be the legacy one beside rules of
// the other.
func TestOtherBackendIsNft(t *testing.T) {
	l := newLab(t)
	l.host.sh(t, "iptables -A FORWARD -s 192.0.2.0/24 -j DROP")
	legacyPath(t)
	h := l.host.open(t, l.state)
	var backend *BackendError
	if err := h.Apply(t.Context(), l.network); !errors.As(err, &backend) || backend.Is != "legacy" || !slices.Equal(backend.Tables, []string{"filter"}) {
		t.Errorf("Apply: %v, want it refused for the rules of iptables-nft", err)
	}
	checkEmpty(t, l.state)
}

// legacyPath has iptables be the legacy one.
func legacyPath(t *testing.T) {
	t.Helper()
	legacy, err := exec.LookPath("xtables-legacy-multi")
	if err != nil {
		t.Skip("needs iptables-legacy")
	}
	if out, err := exec.Command(legacy, "iptables", "--version").CombinedOutput(); err != nil {
		t.Skipf("iptables-legacy does not run here: %s", out)
	}
	dir := t.TempDir()
	for _, name := range []string{"iptables", "ip6tables"} {
		if err := os.Symlink(legacy, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}
