package netsetup

// Isolation keeps apart what a network would otherwise let meet. The zero value
// isolates nothing.
type Isolation struct {
	// Machines keeps the network's machines from one another: they reach the
	// host, and through it the world, only. It is a setting of each port, made
	// for the Pairs and Taps of the network and for whatever is on the bridge
	// when Apply is called; nspawn's own ports that come later get it from the
	// next Apply.
	Machines bool

	// Host keeps machines from beginning a connection to the host itself. The
	// host still reaches them, and forwards work.
	Host bool

	// Outside keeps everybody but the host from beginning a connection to a
	// machine: those outside, and machines of other networks. Forwards work.
	Outside bool
}

// answers is what belongs to a connection that was begun in the other direction.
const answers = "RELATED,ESTABLISHED"

func (n Network) isolateHost(r *rules) {
	if !n.Isolation.Host {
		return
	}
	if r.family == ipv6 {
		// Neighbour discovery is to IPv6 what ARP is to IPv4, which iptables
		// does not see.
		for _, kind := range []string{"135", "136"} {
			r.add("filter", "IN", "neighbours", "ACCEPT", "-i", n.Bridge, "-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind)
		}
	}
	r.add("filter", "IN", "host isolated", "DROP", "-i", n.Bridge, "-m", "conntrack", "!", "--ctstate", answers)
}

func (n Network) isolateOutside(r *rules) {
	if n.Isolation.Outside {
		r.add("filter", "FWD", "outside isolated", "DROP", "-o", n.Bridge, "-m", "conntrack", "!", "--ctstate", answers+",DNAT")
	}
}
