package netsetup

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// Forward makes a port of a machine reachable at the host: for those outside,
// for the host itself, at its loopback address too, and for the other machines.
type Forward struct {
	// Protocol is "tcp" or "udp".
	Protocol string

	// Listen is where connections arrive. An unspecified address, 0.0.0.0 or
	// ::, stands for all of the host's own.
	Listen netip.AddrPort

	// To is the machine's address, in one of the network's prefixes, and port.
	To netip.AddrPort
}

// String returns "tcp 0.0.0.0:8080 to 10.0.0.254:80".
func (f Forward) String() string { return fmt.Sprintf("%s %v to %v", f.Protocol, f.Listen, f.To) }

func (n Network) checkForward(f Forward) error {
	listen, to := f.Listen.Addr(), f.To.Addr()
	switch {
	case f.Protocol != "tcp" && f.Protocol != "udp":
		return invalid("forward %v: the protocol is neither tcp nor udp", f)
	case !f.Listen.IsValid(), !f.To.IsValid():
		return invalid("forward %v: an address is missing", f)
	case f.Listen.Port() == 0, f.To.Port() == 0:
		return invalid("forward %v: a port is missing", f)
	case listen.Is4In6(), to.Is4In6():
		return invalid("forward %v: an IPv4 address is mapped into IPv6", f)
	case familyOf(listen) != familyOf(to):
		return invalid("forward %v: from one family of addresses to another", f)
	case listen.IsMulticast():
		return invalid("forward %v: multicast cannot be forwarded so", f)
	case listen.Is6() && listen.IsLoopback():
		return invalid("forward %v: the kernel routes no IPv6 from the loopback address", f)
	}
	for _, p := range n.Prefixes {
		if p.Contains(to) && p.Addr() != to && p.Masked().Addr() != to {
			return nil
		}
	}
	return invalid("forward %v: %v is no machine's address in the network", f, to)
}

// sameListen reports whether two forwards compete for one port.
func sameListen(a, b Forward) bool {
	x, y := a.Listen.Addr(), b.Listen.Addr()
	return a.Protocol == b.Protocol && a.Listen.Port() == b.Listen.Port() && x.Is4() == y.Is4() &&
		(x == y || x.IsUnspecified() || y.IsUnspecified())
}

// forwards returns the forwards of a family.
func (n Network) forwards(f family) []Forward {
	var list []Forward
	for _, w := range n.Forwards {
		if familyOf(w.To.Addr()) == f {
			list = append(list, w)
		}
	}
	return list
}

// loopback reports whether a forward listens at 127.0.0.1.
func (f Forward) loopback() bool {
	a := f.Listen.Addr()
	return a.Is4() && (a.IsLoopback() || a.IsUnspecified())
}

// fromLoopback reports whether connections from 127.0.0.1 are to go out to the
// bridge, which the kernel forbids otherwise.
func (n Network) fromLoopback() bool {
	for _, f := range n.Forwards {
		if f.loopback() {
			return true
		}
	}
	return false
}

func (n Network) forwardRules(r *rules) {
	for _, f := range n.forwards(r.family) {
		n.forwardRule(r, f)
	}
	if r.family == ipv4 && n.fromLoopback() {
		r.add("nat", "POST", "forwards from the host", "MASQUERADE",
			"-s", "127.0.0.0/8", "-o", n.Bridge, "-m", "conntrack", "--ctstate", "DNAT")
		// What lets answers in to 127.0.0.1 lets machines begin as well.
		r.add("filter", "IN", "only answers to the loopback address", "DROP",
			"-d", "127.0.0.0/8", "-i", n.Bridge, "-m", "conntrack", "!", "--ctstate", answers)
	}
}

func (n Network) forwardRule(r *rules, f Forward) {
	r.append(r.dnat(f))
	dnat := []string{"-m", "conntrack", "--ctstate", "DNAT"}
	to := append([]string{"-d", host(f.To.Addr()), "-o", n.Bridge}, f.match(f.To.Port())...)
	r.add("filter", "FWD", "forward", "ACCEPT", append(to, dnat...)...)
	// A machine that comes by the host's address has to be answered by the host.
	for _, p := range n.subnets(r.family) {
		if p.Contains(f.To.Addr()) {
			hairpin := append([]string{"-s", p.String()}, to...)
			r.add("nat", "POST", "forward between machines", "MASQUERADE", append(hairpin, dnat...)...)
		}
	}
}

// dnat is the rule that turns a connection to the machine.
func (r *rules) dnat(f Forward) rule {
	var at []string
	if !f.Listen.Addr().IsUnspecified() {
		at = append(at, "-d", host(f.Listen.Addr()))
	}
	at = append(at, f.match(f.Listen.Port())...)
	at = append(at, "-m", "addrtype", "--dst-type", "LOCAL")
	return r.rule("nat", chainName(r.bridge, "DNAT"), "forward", []string{"DNAT", "--to-destination", f.To.String()}, at)
}

func (f Forward) match(port uint16) []string {
	return []string{"-p", f.Protocol, "-m", f.Protocol, "--dport", strconv.Itoa(int(port))}
}

// host writes an address as iptables prints it.
func host(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// portsTaken looks at the forwards that are not there yet.
func (n Network) portsTaken(j *journal) error {
	var errs []error
	for _, f := range n.Forwards {
		r := newRules(n.Bridge, familyOf(f.To.Addr()))
		if j.find(r.dnat(f).String()) == nil {
			errs = append(errs, f.taken())
		}
	}
	return errors.Join(errs...)
}

// taken returns an error if a program of the host listens where f would take
// its connections away: an SSH server, say. It is asked on the thread of the
// namespace, and by trying.
func (f Forward) taken() error {
	var err error
	if f.Protocol == "tcp" {
		var l net.Listener
		if l, err = net.Listen("tcp", f.Listen.String()); err == nil {
			return l.Close()
		}
	} else {
		var c net.PacketConn
		if c, err = net.ListenPacket("udp", f.Listen.String()); err == nil {
			return c.Close()
		}
	}
	return &ConflictError{
		Want: fmt.Sprintf("%s port %d at %v", f.Protocol, f.Listen.Port(), f.Listen.Addr()),
		With: fmt.Sprintf("the host itself (%v)", err),
		Err:  ErrExists,
	}
}
