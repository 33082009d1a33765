package netsetup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLegacyBackend has iptables be the one that is not nftables.
func TestLegacyBackend(t *testing.T) {
	legacy, err := exec.LookPath("xtables-legacy-multi")
	if err != nil {
		t.Skip("needs iptables-legacy")
	}
	l := newLab(t)
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
