package netsetup

import "slices"

// clear plans to take out of chains of ours what does not belong there, and all
// rules if their order is wrong; want then finds them missing.
func (p *plan) clear(v *view, j *journal, wanted []Object) error {
	order := make(map[chainID][]string)
	for _, o := range wanted {
		if r, ok := o.(rule); ok {
			order[r.id()] = append(order[r.id()], r.text())
		}
	}
	for _, o := range wanted {
		c, ok := o.(chain)
		if !ok {
			continue
		}
		have, err := v.chain(c.id())
		if err != nil {
			return err
		}
		var keep []string
		ordered := inOrder(have.rules, order[c.id()])
		for i, text := range have.rules {
			r := rule{Family: c.Family, Table: c.Table, Chain: c.Name, Place: i + 1, Spec: splitRule(text), after: have.rules[:i]}
			stays := ordered
			if !slices.Contains(order[c.id()], text) {
				stays = j.find(r.String()) != nil // until drop, when the new ones are in place
			}
			if stays {
				keep = append(keep, text)
			} else {
				p.changes = append(p.changes, Change{Delete, r})
			}
		}
		have.rules = keep
		v.chains[c.id()] = have
	}
	return nil
}

// inOrder reports whether those of have that are wanted follow one another as
// they are wanted, each once.
func inOrder(have, wanted []string) bool {
	last := -1
	for _, rule := range have {
		i := slices.Index(wanted, rule)
		if i >= 0 && i <= last {
			return false
		}
		last = max(last, i)
	}
	return true
}

// follow tells the rules of chains that are there already what they come after.
func follow(v *view, wanted []Object) {
	before := make(map[chainID][]string)
	for i, o := range wanted {
		switch o := o.(type) {
		case chain:
			if v.chains[o.id()].exists {
				before[o.id()] = []string{}
			}
		case rule:
			if list, ours := before[o.id()]; ours {
				o.after = slices.Clone(list)
				before[o.id()] = append(list, o.text())
				wanted[i] = o
			}
		}
	}
}
