package netsetup

import "github.com/google/nftables"

// Reading rules takes a process for each chain, and is most of an Apply that has
// nothing to do. The kernel counts the transactions of nftables; as long as the
// count is that of the last Apply, the rules are what the journal says.

// unchanged reports whether nobody has changed a rule since j was settled.
func (k *kernel) unchanged(j *journal, now uint32) bool {
	if !j.whole || j.rules == 0 || j.rules != now {
		return false
	}
	for _, o := range j.objects() {
		c, ok := o.(chain)
		if !ok {
			continue
		}
		// The legacy backend's rules are in no transaction.
		if b, err := k.backend(c.Family); err != nil || b != nftBackend {
			return false
		}
	}
	return true
}

// recordedChain is a chain as a journal has it.
func (j *journal) recordedChain(id chainID) chainRules {
	var have chainRules
	for _, o := range j.objects() {
		switch o := o.(type) {
		case chain:
			have.exists = have.exists || o.id() == id
		case rule:
			if o.id() == id {
				have.exists = true
				have.rules = append(have.rules, o.text())
			}
		}
	}
	return have
}

// rulesChanged reports whether p changes rules.
func (p plan) rulesChanged() bool {
	for _, c := range p.changes {
		switch c.Object.(type) {
		case rule, chain, baseChain, table:
			return true
		}
	}
	return false
}

// expected is what the kernel will have counted once p is made, if nobody else
// changes rules meanwhile; 0, if that cannot be said.
func (p plan) expected() uint32 {
	count := p.generation
	for _, c := range p.changes {
		switch c.Object.(type) {
		case rule, chain, table:
			if count++; c.Action == Delete {
				return 0
			}
		case baseChain:
			if c.Action == Delete {
				return 0
			}
		case guard, firewallZone:
			return 0
		}
	}
	return count
}

// settledAt is the count to record after p was made: 0, if somebody came in
// between.
func (p plan) settledAt() uint32 {
	if now := generation(); now == p.expected() {
		return now
	}
	return 0
}

// emptyChain answers for a chain that iptables-nft has not made, or that has no
// rules, which the kernel tells without a process. ok is false for all others.
func (v *view) emptyChain(id chainID) (have chainRules, ok bool) {
	if b, err := v.k.backend(id.family); err != nil || b != nftBackend || v.k.fixed {
		return have, false
	}
	n, err := v.native()
	if err != nil {
		return have, false
	}
	family := nftables.TableFamilyIPv4
	if id.family == ipv6 {
		family = nftables.TableFamilyIPv6
	}
	c := n.find(nativeID{family, id.table, id.name})
	if c == nil {
		return have, true
	}
	rules, err := n.of(c)
	if err != nil || len(rules) > 0 {
		return have, false
	}
	have.exists = true
	switch {
	case c.Policy == nil:
	case *c.Policy == nftables.ChainPolicyDrop:
		have.policy = "DROP"
	default:
		have.policy = "ACCEPT"
	}
	return have, true
}
