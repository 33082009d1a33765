package netsetup

import (
	"errors"
	"io/fs"
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
		"nft":                {"nft add table inet t; nft add chain inet t c '{ type filter hook forward priority 5; }'; nft add rule inet t c iifname vz-prolo ip daddr 203.0.113.0/24 drop", `rule 1 of inet t/c: iifname "vz-prolo" ip daddr 203.0.113.0/24 drop`},
		"nft policy":         {"nft add table ip t; nft add chain ip t c '{ type filter hook prerouting priority -1; policy drop; }'; nft add rule ip t c ip protocol tcp accept", "the policy of ip t/c: drop"},
		"nft map":            {"nft add table inet t; nft add chain inet t c '{ type filter hook forward priority 0; }'; nft add chain inet t d; nft add rule inet t d icmp type echo-request reject; nft add rule inet t c ct state vmap '{ established : accept, new : jump d }'", `rule 1 of inet t/d: meta l4proto icmp icmp type 0x08 reject`},
		"nft interval":       {"nft add table ip t; nft add chain ip t c '{ type filter hook postrouting priority 0; }'; nft add set ip t s '{ type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 203.0.113.0-203.0.113.9 }; }'; nft add rule ip t c oifname 'upl*' ip daddr @s counter drop", `rule 1 of ip t/c: oifname "upl*" ip daddr @s counter drop`},
		"nft for others":     {"nft add table inet t; nft add chain inet t c '{ type filter hook forward priority 0; policy drop; }'; nft add rule inet t c meta l4proto { tcp, udp } th dport 53 drop; nft add rule inet t c ip6 saddr fd00::/8 drop; nft add rule inet t c ct status dnat drop; nft add rule inet t c ct state established,related accept; nft add rule inet t c oifname uplink accept", ""},
		"firewalld":          {"nft -f testdata/firewalld.nft", "rule 8 of inet firewalld/filter_FWD_public: reject"},
		"the other backend":  {"iptables-legacy -A FORWARD -s 10.0.0.0/24 -j DROP", "rule 1 of iptables's other backend, filter/FORWARD: -s 10.0.0.0/24 -j DROP"},
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
				Src: netip.MustParseAddr(machineAddr), Dst: netip.MustParseAddr(worldAddr), Protocol: "icmp",
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
		{Packet{Src: world, Dst: netip.MustParseAddr(hostAddr), Protocol: "tcp", Port: 8080}, true},
		{Packet{Src: world, Dst: machine, Protocol: "tcp", Port: 80}, false},
		{Packet{Src: netip.MustParseAddr(hostAddr), Dst: machine, Protocol: "tcp", Port: 80}, true},
	} {
		got, err := h.Explain(t.Context(), test.packet)
		if err != nil || got.Passes != test.passes || len(got.Unsure) != 0 {
			t.Errorf("%v: %+v (%v), want it to pass: %v", test.packet, got, err, test.passes)
		}
	}
}

// TestExplainRefuses what is no packet, before it meets a rule.
func TestExplainRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.host.sh(t, "nft add table inet t; nft add chain inet t c '{ type filter hook prerouting priority 0; }'; nft add rule inet t c iifname uplink drop")
	h := l.host.open(t, l.state)
	world, machine := netip.MustParseAddr(worldAddr), netip.MustParseAddr(machineAddr)
	for _, test := range []struct {
		packet Packet
		want   error
	}{
		{Packet{Src: world, Protocol: "icmp"}, ErrInvalid},
		{Packet{Src: world, Dst: netip.MustParseAddr("fd00::1"), Protocol: "icmp"}, ErrInvalid},
		{Packet{Src: world, Dst: machine}, ErrInvalid},
		{Packet{Src: world, Dst: machine, Protocol: "sctp"}, ErrInvalid},
		{Packet{Src: world, Dst: machine, Protocol: "icmp", In: "a name longer than any interface's"}, fs.ErrNotExist},
		{Packet{Src: world, Dst: machine, Protocol: "icmp", In: "nowhere"}, fs.ErrNotExist},
	} {
		if got, err := h.Explain(t.Context(), test.packet); !errors.Is(err, test.want) || got.Passes {
			t.Errorf("%v by %q: %+v, %v; want %v", test.packet, test.packet.In, got, err, test.want)
		}
	}
}

// TestExplainIsolation asks about machines on one bridge.
func TestExplainIsolation(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	second := newNamespace(t)
	wire(t, l.host, "vb-two", second, "host0")
	h := l.host.open(t, l.state)
	l.apply(t, h)
	l.attach(t)
	l.host.sh(t, "ip link set vb-two master vz-prolo")
	second.sh(t, "ip address add 10.0.0.2/24 dev host0")
	packet := Packet{Src: netip.MustParseAddr(machineAddr), Dst: netip.MustParseAddr("10.0.0.2"), Protocol: "icmp"}
	for _, isolated := range []bool{false, true} {
		l.network.Isolation.Machines = isolated
		l.apply(t, h)
		wait := answerTime
		if isolated {
			wait = silence
		}
		// The host hears of both.
		if err := ping(t, l.machine, "10.0.0.1"); err != nil {
			t.Error(err)
		}
		if err := ping(t, second, "10.0.0.1"); err != nil {
			t.Error(err)
		}
		err := pingFor(t, l.machine, "10.0.0.2", wait)
		got, explainErr := h.Explain(t.Context(), packet)
		if explainErr != nil {
			t.Fatal(explainErr)
		}
		if got.Passes != (err == nil) || got.Passes == isolated {
			t.Errorf("isolated: %v; it passes: %v, but the ping says %v\n%+v", isolated, got.Passes, err, got)
		}
		if want := "the ports vb-gw and vb-two of vz-prolo are isolated"; isolated && !strings.Contains(got.Reason, want) {
			t.Errorf("the reason is %q, want %q", got.Reason, want)
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
