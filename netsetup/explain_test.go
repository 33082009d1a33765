package netsetup

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestExplain plants what stops a ping from the machine to the world, sees with
// a real one that it does, and wants it named.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ plant, reason string }{
		"nothing":            {"true", ""},
		"raw":                {"iptables -t raw -A PREROUTING -i vz-prolo -p icmp -j DROP", "rule 1 of raw/PREROUTING: -i vz-prolo -p icmp -j DROP"},
		"mangle":             {"iptables -t mangle -A PREROUTING -s 10.0.0.0/24 -j DROP", "rule 1 of mangle/PREROUTING: -s 10.0.0.0/24 -j DROP"},
		"mangle on the way":  {"iptables -t mangle -A FORWARD -o uplink -j DROP", "rule 1 of mangle/FORWARD: -o uplink -j DROP"},
		"before ours":        {"iptables -I FORWARD -m conntrack --ctstate NEW -j REJECT", "rule 1 of filter/FORWARD: -m conntrack --ctstate NEW -j REJECT"},
		"in a chain":         {"iptables -N mine; iptables -A mine -d 203.0.113.0/24 -j DROP; iptables -I FORWARD ! -i uplink+ -j mine", "rule 1 of filter/mine: -d 203.0.113.0/24 -j DROP"},
		"on the way out":     {"iptables -t mangle -A POSTROUTING ! -d 10.0.0.0/24 -j DROP", "rule 1 of mangle/POSTROUTING"},
		"behind ours":        {"iptables -A FORWARD -j DROP; iptables -P FORWARD DROP", ""},
		"for others":         {"iptables -t raw -A PREROUTING -p tcp -m tcp --dport 1:1024 -j DROP; iptables -I FORWARD -s 10.9.0.0/16 -j DROP", ""},
		"a chain left again": {"iptables -N mine; iptables -A mine -p icmp -j RETURN; iptables -A mine -j DROP; iptables -I FORWARD -j mine", ""},
		"policy":             {"iptables -P FORWARD DROP; iptables -D FORWARD 1", "the policy of filter/FORWARD: DROP"},
		"forwarding":         {"echo 0 > /proc/sys/net/ipv4/ip_forward", "IPv4 forwarding is off for vz-prolo"},
		"route":              {"ip route add blackhole 203.0.113.1/32", "by vz-prolo"},
		"rp_filter":          {"echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter; ip route add 10.0.0.254/32 dev uplink", "by"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			h := l.host.open(t, l.state)
			l.apply(t, h)
			l.attach(t)
			if err := ping(t, l.machine, worldAddr); err != nil {
				t.Fatal("before anything is planted:", err)
			}
			l.host.sh(t, test.plant)
			wait := silence
			if test.reason == "" {
				wait = answerTime
			}
			err := pingFor(t, l.machine, worldAddr, wait)
			got, explainErr := h.Explain(t.Context(), Packet{
				Src: netip.MustParseAddr(machineAddr), Dst: netip.MustParseAddr(worldAddr), Proto: "icmp",
			})
			if explainErr != nil {
				t.Fatal(explainErr)
			}
			if got.Passes != (err == nil) {
				t.Errorf("it passes: %v, but the ping says %v", got.Passes, err)
			}
			if (test.reason == "") != got.Passes || !strings.Contains(got.Reason, test.reason) {
				t.Errorf("the reason is %q, want %q\n%s", got.Reason, test.reason, strings.Join(got.Steps, "\n"))
			}
		})
	}
}

func TestExplainForward(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort(machineAddr + ":80")}}
	l.network.Isolation.Outside = true
	h := l.host.open(t, l.state)
	l.apply(t, h)
	world, machine := netip.MustParseAddr(worldAddr), netip.MustParseAddr(machineAddr)
	for _, test := range []struct {
		packet Packet
		passes bool
	}{
		{Packet{Src: world, Dst: netip.MustParseAddr(hostAddr), Proto: "tcp", Port: 8080}, true},
		{Packet{Src: world, Dst: machine, Proto: "tcp", Port: 80}, false},
		{Packet{Src: netip.MustParseAddr(hostAddr), Dst: machine, Proto: "tcp", Port: 80}, true},
	} {
		got, err := h.Explain(t.Context(), test.packet)
		if err != nil || got.Passes != test.passes || len(got.Unsure) != 0 {
			t.Errorf("%v: %+v (%v), want it to pass: %v", test.packet, got, err, test.passes)
		}
	}
}

func TestParseRule(t *testing.T) {
	t.Parallel()
	got := parseRule(`-s 10.0.0.0/24 ! -o vz-prolo -p tcp -m tcp --tcp-flags SYN,RST SYN -m comment --comment "rig \"a\": -j b" -j DNAT --to-destination 10.0.0.2:80`)
	want := parsedRule{
		conditions: []ruleMatch{
			{option: "-s", args: []string{"10.0.0.0/24"}},
			{option: "-o", not: true, args: []string{"vz-prolo"}},
			{option: "-p", args: []string{"tcp"}},
			{option: "-m", args: []string{"tcp"}},
			{option: "--tcp-flags", args: []string{"SYN,RST", "SYN"}},
			{option: "-m", args: []string{"comment"}},
			{option: "--comment", args: []string{`rig "a": -j b`}},
		},
		target:  "DNAT",
		options: []string{"--to-destination", "10.0.0.2:80"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(parsedRule{}, ruleMatch{})); d != "" {
		t.Error(d)
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add(`-s 10.0.0.0/24 ! -o a -m comment --comment "x \" y" -j DROP`)
	f.Add(`! -j`)
	f.Fuzz(func(t *testing.T, text string) {
		parseRule(text).matches(&walk{v: &view{}})
	})
}
