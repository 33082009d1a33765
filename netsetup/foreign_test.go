package netsetup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestForeignRules applies a network beside rules that other programs made, has
// packets pass, and wants the rules back byte for byte.
func TestForeignRules(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		load   string
		passes bool // with no more than rules of ours in iptables
	}{
		"docker":    {"iptables-restore " + dir + "/docker.rules; ip link add docker0 type bridge; ip address add 172.17.0.1/16 dev docker0", true},
		"ufw":       {"iptables-restore " + dir + "/ufw.rules; ip6tables-restore " + dir + "/ufw6.rules", true},
		"firewalld": {"nft -f " + dir + "/firewalld.nft", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.host.sh(t, test.load)
			before, dump := l.host.picture(t), l.dump(t)
			h := l.host.open(t, l.state)
			l.apply(t, h)
			checkVerified(t, h, l.network)
			l.attach(t)
			wait := silence
			if test.passes {
				wait = answerTime
			}
			if err := pingFor(t, l.machine, worldAddr, wait); (err == nil) != test.passes {
				t.Errorf("ping: %v, want it to work: %v", err, test.passes)
			}
			if name == "docker" {
				if s := l.host.sh(t, "iptables -S DOCKER-USER 1"); !strings.Contains(s, "RIG-vz-prolo-FWD") {
					t.Errorf("no jump in DOCKER-USER but %s", s)
				}
				// Docker starts again, and puts its chain first.
				l.host.sh(t, "iptables -D FORWARD -j DOCKER-USER; iptables -I FORWARD -j DOCKER-USER")
				checkVerified(t, h, l.network)
			}
			l.detach(t)
			if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
				t.Fatal(err)
			}
			before.compare(t, l.host.picture(t))
			if after := l.dump(t); after != dump {
				t.Errorf("the rules differ:\n%s\nwere:\n%s", after, dump)
			}
		})
	}
}

// dump is every rule there is, of either backend, but for the counters.
func (l *lab) dump(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/iptables-legacy-save"); err != nil {
		t.Skip("needs both backends of iptables")
	}
	return counters.ReplaceAllString(l.host.sh(t, "iptables-save; ip6tables-save; iptables-legacy-save; nft list ruleset"), "")
}
