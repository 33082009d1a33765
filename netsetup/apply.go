package netsetup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Apply makes the network as n says. It may be called again, with the same n,
// which changes nothing, or with another, which changes the difference only;
// connections through the network live on. If it fails, it undoes what it did.
//
// Each thing is written down before it is made. The network then belongs to
// this Host until Close; others may apply it as well. ctx is heeded between
// changes. It needs CAP_NET_ADMIN in the namespace, and write access to /proc/sys
// if it is to masquerade.
//
// Besides the errors of Plan there are ErrBusy, if ctx ends while another
// program changes networks, and the kernel's own.
func (h *Host) Apply(ctx context.Context, n Network) error {
	if err := n.Validate(); err != nil {
		return err
	}
	return h.change(ctx, "apply", n.Bridge, func() error {
		waits := false
		err := h.applyPlan(ctx, n.Bridge, n.Keep, func(j *journal) (p plan, err error) {
			p, err = h.plan(n, j)
			waits = p.waits
			return p, err
		})
		if err == nil {
			err = h.keepInFirewall(h.held[n.Bridge].objects())
		}
		switch {
		case err != nil:
		case waits:
			h.await(n)
		case n.Bridged == nil: // the uplink, if it was on the bridge, is off it
			h.awaitNothing(n.Bridge)
		}
		return err
	})
}

// applyPlan makes what a plan says.
func (h *Host) applyPlan(ctx context.Context, bridge string, keep bool, planning func(*journal) (plan, error)) error {
	j, err := h.journal(bridge, true)
	if err != nil {
		return err
	}
	defer h.releaseEmpty(bridge, j)
	p, err := planning(j)
	if err != nil {
		return err
	}
	for _, o := range p.adopt {
		if err := j.adding(o); err != nil {
			return err
		}
	}
	if len(p.changes) == 0 && j.whole && j.keep == keep && (j.rules == p.generation || p.generation == 0) {
		return nil
	}
	if err := j.settle(false, keep); err != nil {
		return err
	}
	if err := h.make(ctx, bridge, j, p.changes); err != nil {
		return err
	}
	return j.settleAt(!p.waits, keep, p.settledAt())
}

// releaseEmpty deletes a journal that says nothing.
func (h *Host) releaseEmpty(bridge string, j *journal) {
	if len(j.names) > 0 {
		return
	}
	if err := j.remove(); err != nil {
		h.log.Warn("cannot remove journal", "network", bridge, "error", err)
	}
	delete(h.held, bridge)
}

// make makes the changes, all or none.
func (h *Host) make(ctx context.Context, bridge string, j *journal, changes Changes) error {
	if err := h.share(bridge); err != nil {
		return err
	}
	before := j.snapshot()
	for i, c := range changes {
		tried := changes[:i]
		err := ctx.Err()
		if err == nil {
			tried = changes[:i+1]
			err = h.step(bridge, j, c)
		}
		if err != nil {
			e := &Error{Op: "apply", Network: bridge, Object: c.Object.String(), Err: err}
			return errors.Join(e, h.undo(ctx, bridge, j, tried, before))
		}
	}
	return nil
}

// share tells the kernel what other networks need.
func (h *Host) share(bridge string) error {
	others, err := h.others(bridge)
	if err != nil {
		return err
	}
	h.kernel.bridges = nil
	h.kernel.shared = make(map[string]bool, len(others))
	for name := range others {
		h.kernel.shared[name] = true
	}
	return nil
}

// step makes one change, written down before if it makes something and after
// if it unmakes something. The log speaks in between.
func (h *Host) step(bridge string, j *journal, c Change) error {
	tell := func() { h.log.Info(string(c.Action), "network", bridge, "object", c.Object.String()) }
	if c.Action == Add {
		if err := j.adding(c.Object); err != nil {
			return err
		}
		tell()
		return c.do(h.kernel)
	}
	if err := c.do(h.kernel); err != nil {
		return err
	}
	tell()
	return j.deleted(c.Object)
}

// undoTime is how long undoing may take after the caller has given up.
const undoTime = 30 * time.Second

// undo goes back through the changes, doing what can be done. before is what the
// journal said: an object that was altered gets its former shape.
func (h *Host) undo(ctx context.Context, bridge string, j *journal, changes Changes, before map[string]Object) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var errs []error
	for i := len(changes) - 1; i >= 0; i-- {
		c := changes[i].reverse()
		if former := before[c.Object.String()]; former != nil {
			c = Change{Add, former}
		}
		err := ctx.Err()
		if err == nil {
			err = h.step(bridge, j, c)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("undoing %v: %w", c.Object, err))
		}
	}
	return errors.Join(errs...)
}

// snapshot returns what the journal says now, by name.
func (j *journal) snapshot() map[string]Object {
	objects := make(map[string]Object, len(j.names))
	for _, o := range j.objects() {
		objects[o.String()] = o
	}
	return objects
}
