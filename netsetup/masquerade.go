package netsetup

import "net/netip"

// rules collects the rules of one network and family, chain by chain.
type rules struct {
	bridge string
	family Family
	list   []Object
	place  map[string]int // the next place in each chain
}

// chainName is the name of our chain for a hook: 4 + 15 + 1 + 4 bytes at most,
// of iptables' 28.
func chainName(bridge, hook string) string { return "RIG-" + bridge + "-" + hook }

// chain adds a chain of ours and returns its name.
func (r *rules) chain(table, hook string) string {
	c := Chain{r.family, table, chainName(r.bridge, hook)}
	r.list = append(r.list, c)
	return c.Name
}

// add appends a rule to a chain of ours. why becomes part of its comment.
func (r *rules) add(table, chain, why, target string, match ...string) {
	r.place[table+chain]++
	r.list = append(r.list, r.rule(table, chain, r.place[table+chain], why, target, match))
}

// jump leads from a chain of the host's to ours, before all else that is there:
// what follows may drop everything.
func (r *rules) jump(table, from, to string) {
	r.list = append(r.list, r.rule(table, from, 1, "jump", to, nil))
}

func (r *rules) rule(table, chain string, place int, why, target string, match []string) Rule {
	spec := append([]string{}, match...)
	spec = append(spec, "-m", "comment", "--comment", "rig "+r.bridge+": "+why, "-j", target)
	return Rule{Family: r.family, Table: table, Chain: chain, Place: place, Spec: spec}
}

// masquerade returns the rules of one family: everything that leaves by another
// interface than the bridge gets that interface's address, answers come back,
// and nothing else gets out.
func (n Network) masquerade(f Family, docker bool) []Object {
	r := &rules{bridge: n.Bridge, family: f, place: make(map[string]int)}
	br, multicast := n.Bridge, "224.0.0.0/4"
	if f == IPv6 {
		multicast = "ff00::/8"
	}
	r.list = append(r.list, BaseChain{f, "nat", "POSTROUTING"}, BaseChain{f, "filter", "FORWARD"})
	post := r.chain("nat", "POST")
	r.add("nat", post, "multicast stays as it is", "RETURN", "-d", multicast)
	fwd := r.chain("filter", "FWD")
	// br_netfilter shows frames from port to port to this chain, too.
	r.add("filter", fwd, "between machines", "ACCEPT", "-i", br, "-o", br)
	r.add("filter", fwd, "answers", "ACCEPT", "-o", br, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
	// Connection tracking gives up on such a packet, and NAT with it.
	r.add("filter", fwd, "untracked, so not masqueraded", "DROP", "-i", br, "-m", "conntrack", "--ctstate", "INVALID")
	for _, p := range n.subnets(f) {
		r.add("nat", post, "masquerade", "MASQUERADE", "-s", p.String(), "!", "-d", p.String(), "!", "-o", br)
		r.add("filter", fwd, "out", "ACCEPT", "-s", p.String(), "-i", br)
	}
	r.add("filter", fwd, "not of this network, so not masqueraded", "DROP", "-i", br)
	r.jump("nat", "POSTROUTING", post)
	r.jump("filter", "FORWARD", fwd)
	if docker {
		r.jump("filter", dockerUser, fwd)
	}
	return r.list
}

// dockerUser is the chain that Docker keeps for others' rules, before its own.
const dockerUser = "DOCKER-USER"

// subnets returns the prefixes of a family without their host parts.
func (n Network) subnets(f Family) []netip.Prefix {
	var list []netip.Prefix
	for _, p := range n.Prefixes {
		if familyOf(p.Addr()) == f {
			list = append(list, p.Masked())
		}
	}
	return list
}
