package netsetup

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// base runs the packet through a base chain of nftables.
func (w *walk) base(c *nftables.Chain) error {
	decided, err := w.nativeChain(c, 0)
	if err == nil && !decided && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
		return w.stop("the policy of %v: drop", idOf(c))
	}
	return err
}

// nativeChain runs the packet through a chain, and reports whether a rule decided.
func (w *walk) nativeChain(c *nftables.Chain, depth int) (bool, error) {
	rules, err := w.v.nft.of(c)
	if err != nil || depth > maxDepth {
		return false, err
	}
	for i, r := range rules {
		where := fmt.Sprintf("rule %d of %v: %s", i+1, idOf(c), nativeText(w.v.nft, r))
		run := nativeRun{walk: w, table: c.Table, where: where}
		v, err := run.rule(r)
		if err != nil {
			return false, err
		}
		if run.doubt {
			if v != nil || run.acts {
				w.told.Unsure = append(w.told.Unsure, where)
			}
			continue
		}
		decided, back, err := w.nativeVerdict(c, v, where, depth)
		if decided || back || err != nil {
			return decided, err
		}
	}
	return false, nil
}

// nativeVerdict does what a rule has come to; nil is to go on. back is to leave
// the chain.
func (w *walk) nativeVerdict(c *nftables.Chain, v *expr.Verdict, where string, depth int) (decided, back bool, err error) {
	if v == nil {
		return false, false, nil
	}
	switch v.Kind {
	case expr.VerdictAccept:
		w.step("is accepted by %s", where)
		return true, false, nil
	case expr.VerdictDrop:
		return false, false, w.stop("%s", where)
	case expr.VerdictReturn:
		return false, true, nil
	case expr.VerdictJump, expr.VerdictGoto:
		next := w.v.nft.find(nativeID{c.Table.Family, c.Table.Name, v.Chain})
		if next == nil {
			return false, false, nil // deleted since the chains were read
		}
		decided, err = w.nativeChain(next, depth+1)
		return decided, v.Kind == expr.VerdictGoto, err
	case expr.VerdictQueue:
		w.told.Unsure = append(w.told.Unsure, where)
		return true, false, nil
	}
	return false, false, nil
}

// nativeRun is a rule at work on a packet.
type nativeRun struct {
	*walk
	registers
	table *nftables.Table
	where string
	doubt bool // a condition could not be decided
	acts  bool // the rule would have done something
}

// rule runs a rule's expressions to its verdict: nil, if it does not match or has
// none.
func (r *nativeRun) rule(rule *nftables.Rule) (*expr.Verdict, error) {
	for _, e := range rule.Exprs {
		holds, v, err := r.expression(e)
		if err != nil || holds == no {
			r.doubt = false
			return nil, err
		}
		r.doubt = r.doubt || holds == unknown
		if v != nil {
			return v, nil
		}
	}
	return nil, nil
}

func (r *nativeRun) expression(e expr.Any) (holds verdict, v *expr.Verdict, err error) {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			r.load(e.Register, r.meta(e.Key), 16)
		}
	case *expr.Ct:
		if !e.SourceRegister {
			r.load(e.Register, r.tracked(e.Key), 16)
		}
	case *expr.Payload:
		if e.OperationType == expr.PayloadLoad {
			r.load(e.DestRegister, r.payload(e), int(e.Len))
		}
	case *expr.Fib:
		r.load(e.Register, r.fib(e), 4)
	case *expr.Immediate:
		r.load(e.Register, e.Data, len(e.Data))
	case *expr.Bitwise:
		r.bitwise(e)
	case *expr.Byteorder:
		r.byteorder(e)
	case *expr.Cmp:
		return r.cmp(e), nil, nil
	case *expr.Range:
		return r.inRange(e), nil, nil
	case *expr.Lookup:
		return r.lookup(e)
	case *expr.Verdict:
		return yes, e, nil
	default:
		return r.action(e)
	}
	return yes, nil, nil
}

func (r *nativeRun) lookup(e *expr.Lookup) (verdict, *expr.Verdict, error) {
	set, err := r.v.nft.set(r.table, e.SetName)
	if err != nil {
		return unknown, nil, err
	}
	if len(set.elements) == 0 {
		return truth(e.Invert), nil, nil
	}
	key := r.read(e.SourceRegister, len(set.elements[0].Key))
	if key == nil {
		return unknown, nil, nil
	}
	v, value, found := set.lookup(key)
	if found == yes && v == nil && e.IsDestRegSet && value != nil {
		r.load(e.DestRegister, value, len(value))
	}
	if e.Invert && found != unknown {
		return yes - found, nil, nil
	}
	return found, v, nil
}

// action is an expression that does something rather than ask.
func (r *nativeRun) action(e expr.Any) (verdict, *expr.Verdict, error) {
	r.acts = true
	switch e := e.(type) {
	case *expr.Counter, *expr.Log, *expr.Objref, *expr.Notrack:
		r.acts = false
	case *expr.Reject:
		return yes, &expr.Verdict{Kind: expr.VerdictDrop}, nil
	case *expr.Masq:
		r.changes("gets another source by %s")
		return yes, &expr.Verdict{Kind: expr.VerdictAccept}, nil
	case *expr.NAT:
		if e.Type == expr.NATTypeDestNAT {
			r.turn(e)
		} else {
			r.changes("gets another source by %s")
		}
		return yes, &expr.Verdict{Kind: expr.VerdictAccept}, nil
	default:
		return unknown, nil, nil
	}
	return yes, nil, nil
}

func (r *nativeRun) changes(format string) {
	if !r.doubt {
		r.step(format, r.where)
	}
}

// turn gives the packet another destination.
func (r *nativeRun) turn(e *expr.NAT) {
	if r.doubt {
		return
	}
	if to, ok := netip.AddrFromSlice(r.read(e.RegAddrMin, r.packet.Dst.BitLen()/8)); ok && e.RegAddrMin != 0 {
		r.packet.Dst = to
	}
	if port := r.read(e.RegProtoMin, 2); port != nil && e.RegProtoMin != 0 {
		r.packet.Port = uint16(port[0])<<8 | uint16(port[1])
	}
	r.walk.turned = true
	r.step("is turned by %s", r.where)
}
