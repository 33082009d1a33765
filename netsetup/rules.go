package netsetup

import "net/netip"

// rules collects the rules of one network and family, chain by chain.
type rules struct {
	bridge string
	family family
	list   []Object
	place  map[chainID]int // of the last rule in each chain
}

// The chains of our own, one for each hook that a network may need, and the
// chain of the host's that leads there.
var hooks = []struct{ table, name, host string }{
	{"nat", "DNAT", "PREROUTING"},
	{"nat", "DNAT", "OUTPUT"},
	{"nat", "POST", "POSTROUTING"},
	{"filter", "IN", "INPUT"},
	{"filter", "FWD", "FORWARD"},
	{"filter", "FWD", dockerUser},
}

// dockerUser is the chain that Docker keeps for others' rules, before its own.
const dockerUser = "DOCKER-USER"

// chainName is the name of our chain for a hook: 4 + 15 + 1 + 4 bytes at most,
// of iptables' 28.
func chainName(bridge, hook string) string { return "RIG-" + bridge + "-" + hook }

func newRules(bridge string, f family) *rules {
	return &rules{bridge: bridge, family: f, place: make(map[chainID]int)}
}

// add appends a rule to our chain for a hook. why becomes part of its comment.
func (r *rules) add(table, hook, why, target string, match ...string) {
	r.append(r.rule(table, chainName(r.bridge, hook), why, []string{target}, match))
}

// append appends a rule to the chain of ours that it names, made before its
// first rule.
func (r *rules) append(rule rule) {
	if r.place[rule.id()] == 0 {
		r.list = append(r.list, chain{rule.Family, rule.Table, rule.Chain})
	}
	r.place[rule.id()]++
	rule.Place = r.place[rule.id()]
	r.list = append(r.list, rule)
}

func (r *rules) rule(table, chain, why string, target, match []string) rule {
	spec := append([]string{}, match...)
	spec = append(spec, "-m", "comment", "--comment", "rig "+r.bridge+": "+why, "-j")
	return rule{Family: r.family, Table: table, Chain: chain, Place: 1, Spec: append(spec, target...)}
}

// objects returns all that was added, the host's chains before and the jumps
// from them after it. A jump stands before all else that is in the host's chain:
// what follows may drop everything.
func (r *rules) objects(docker bool) []Object {
	var base, jumps []Object
	for _, h := range hooks {
		name := chainName(r.bridge, h.name)
		if r.place[chainID{r.family, h.table, name}] == 0 || h.host == dockerUser && !docker {
			continue
		}
		if h.host != dockerUser {
			base = append(base, baseChain{r.family, h.table, h.host})
		}
		jumps = append(jumps, r.rule(h.table, h.host, "jump", []string{name}, nil))
	}
	return append(append(base, r.list...), jumps...)
}

// routed reports whether the host passes packets of a family on for n.
func (n Network) routed(f family) bool {
	return n.has(f) && (n.Masquerade || len(n.forwards(f)) > 0)
}

// rules returns the rules of one family.
func (n Network) rules(f family, docker bool) []Object {
	r := newRules(n.Bridge, f)
	n.isolateHost(r)
	if n.routed(f) || n.Isolation.Outside {
		// br_netfilter shows frames from port to port to this chain, too.
		r.add("filter", "FWD", "between machines", "ACCEPT", "-i", n.Bridge, "-o", n.Bridge)
	}
	n.isolateOutside(r)
	if n.routed(f) {
		n.admit(r)
	}
	n.forwardRules(r)
	if n.Masquerade {
		n.masquerade(r)
	}
	if n.routed(f) {
		r.add("filter", "FWD", "not to leave unmasqueraded", "DROP", "-i", n.Bridge)
	}
	return r.objects(docker)
}

// admit lets pass what needs no NAT, and stops what would escape it.
func (n Network) admit(r *rules) {
	// Connection tracking gives up on such a packet, and NAT with it.
	r.add("filter", "FWD", "untracked, so not masqueraded", "DROP", "-i", n.Bridge, "-m", "conntrack", "--ctstate", "INVALID")
	r.add("filter", "FWD", "answers in", "ACCEPT", "-o", n.Bridge, "-m", "conntrack", "--ctstate", answers)
	r.add("filter", "FWD", "answers out", "ACCEPT", "-i", n.Bridge, "-m", "conntrack", "--ctstate", answers)
}

// masquerade lets the machines out: everything that leaves by another interface
// than the bridge gets that interface's address.
func (n Network) masquerade(r *rules) {
	multicast := "224.0.0.0/4"
	if r.family == ipv6 {
		multicast = "ff00::/8"
	}
	r.add("nat", "POST", "multicast stays as it is", "RETURN", "-d", multicast)
	for _, p := range n.subnets(r.family) {
		r.add("nat", "POST", "masquerade", "MASQUERADE", append([]string{"-s", p.String(), "!", "-d", p.String()}, n.outward()...)...)
		out := []string{"-s", p.String(), "-i", n.Bridge}
		if n.Uplink != "" {
			out = append(out, n.outward()...)
		}
		r.add("filter", "FWD", "out", "ACCEPT", out...)
	}
}

// subnets returns the prefixes of a family without their host parts.
func (n Network) subnets(f family) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range n.Prefixes {
		if familyOf(p.Addr()) == f {
			list = append(list, p.Masked())
		}
	}
	return list
}
