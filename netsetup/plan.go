package netsetup

import (
	"context"
	"errors"
	"io/fs"
	"slices"
)

// Plan returns what Apply would change now, in order; nothing, if the network
// is as n says. It changes nothing itself.
//
// It fails where Apply would fail before touching anything: ErrInvalid for what
// Validate finds, a *ConflictError (ErrExists, ErrOverlap) that says who has the
// bridge's name or the addresses, a *MissingError without iptables.
func (h *Host) Plan(ctx context.Context, n Network) (Changes, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	return h.planned(ctx, n.Bridge, func(j *journal) (plan, error) { return h.plan(n, j) })
}

// planned makes a plan without the lock.
func (h *Host) planned(ctx context.Context, bridge string, planning func(*journal) (plan, error)) (Changes, error) {
	var p plan
	err := h.do(ctx, "plan", bridge, func() error {
		j, err := readJournal(h.journalPath(bridge))
		if errors.Is(err, fs.ErrNotExist) {
			j, err = new(journal), nil
		}
		if err != nil {
			return err
		}
		p, err = planning(j)
		return err
	})
	return p.changes, err
}

// Verify reads back from the kernel what Apply made for n. It returns a
// *DriftError that lists what is missing, altered or left over.
func (h *Host) Verify(ctx context.Context, n Network) error {
	changes, err := h.Plan(ctx, n)
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		return &Error{Op: "verify", Network: n.Bridge, Err: &DriftError{Changes: changes}}
	}
	return nil
}

// plan is what Apply does.
type plan struct {
	changes Changes
	adopt   []Object // there already and ours, yet not in the journal
	waits   bool     // for Host.Confirm

	generation uint32 // of the rules, before they were looked at
}

func (h *Host) plan(n Network, j *journal) (plan, error) {
	now := generation()
	v, err := h.kernel.look()
	if err != nil {
		return plan{}, err
	}
	if h.kernel.unchanged(j, now) {
		v.recorded = j
		if p, err := h.planIn(v, n, j); err == nil && !p.rulesChanged() {
			p.generation = now
			return p, nil
		}
		v.recorded, v.chains = nil, make(map[chainID]chainRules)
	}
	p, err := h.planIn(v, n, j)
	p.generation = now
	return p, err
}

// planIn plans by a view.
func (h *Host) planIn(v *view, n Network, j *journal) (p plan, err error) {
	if n, err = n.resolved(v, j); err != nil {
		return p, err
	}
	if err := n.conflicts(v); err != nil {
		return p, err
	}
	wanted, err := n.wanted(v)
	if err != nil {
		return p, err
	}
	others, err := h.others(n.Bridge)
	if err != nil {
		return p, err
	}
	if err := n.portsTaken(j); err != nil {
		return p, err
	}
	if err := p.clear(v, j, wanted); err != nil {
		return p, err
	}
	follow(v, wanted)
	for _, o := range wanted {
		if err := p.want(v, j, others, o); err != nil {
			return p, err
		}
	}
	p.drop(j, wanted)
	p.waits = n.Bridged != nil && !j.whole
	return p, nil
}

// want plans to make o unless it is there.
func (p *plan) want(v *view, j *journal, others map[string]Object, o Object) error {
	there, err := o.present(v)
	if err != nil {
		return err
	}
	name := o.String()
	recorded := j.find(name)
	if s, ok := o.(shared); ok {
		switch {
		case recorded != nil:
			o = recorded
		case others[name] != nil:
			o = others[name]
		case there:
			return nil // the host's own doing, and not ours to end
		default:
			if o, err = s.remember(); err != nil {
				return err
			}
		}
	}
	if _, ok := o.(baseChain); ok && recorded != nil {
		return nil
	}
	if !there {
		p.changes = append(p.changes, Change{Add, o})
	} else if recorded == nil {
		p.adopt = append(p.adopt, o)
	}
	return nil
}

// drop plans to unmake what is recorded and no longer wanted, last made first.
func (p *plan) drop(j *journal, wanted []Object) {
	names := make(map[string]bool, len(wanted))
	for _, o := range wanted {
		names[o.String()] = true
	}
	for _, o := range slices.Backward(j.objects()) {
		if !names[o.String()] {
			p.changes = append(p.changes, Change{Delete, o})
		}
	}
}
