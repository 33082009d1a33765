package netsetup

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// Remove unmakes a network, given its bridge's name, and puts back what was
// before. It needs no Network, works for what a dead program left half made, and
// may be called when there is nothing. Machines that are still attached lose
// their bridge.
//
// Without a journal, if somebody deleted it, it finds the links and rules by the
// marks they bear; only the host's forwarding then stays as it is.
//
// It goes on after a failure, and returns all of them joined; what could not be
// removed stays recorded. A *BusyError (ErrBusy) names the programs that have
// applied the network, too, and still live; then nothing is touched.
func (h *Host) Remove(ctx context.Context, bridge string) error {
	if err := checkName("bridge", bridge); err != nil {
		return fail("remove", bridge, err)
	}
	return h.change(ctx, "remove", bridge, func() error {
		err := h.remove(ctx, bridge)
		if err == nil {
			h.awaitNothing(bridge)
		}
		return err
	})
}

// PlanRemove returns what Remove would change now, in order.
func (h *Host) PlanRemove(ctx context.Context, bridge string) (Changes, error) {
	if err := checkName("bridge", bridge); err != nil {
		return nil, fail("plan", bridge, err)
	}
	var changes Changes
	err := h.do(ctx, "plan", bridge, func() error {
		j, err := readJournal(h.journalPath(bridge))
		if errors.Is(err, fs.ErrNotExist) {
			changes, err = h.salvage(bridge)
			return err
		}
		if err == nil {
			changes = unmaking(j.objects())
		}
		return err
	})
	return changes, err
}

func (h *Host) remove(ctx context.Context, bridge string) error {
	j, err := h.journal(bridge, false)
	if errors.Is(err, fs.ErrNotExist) {
		return h.removeMarked(bridge)
	}
	if err != nil {
		return err
	}
	if err := j.claim(); err != nil {
		return err
	}
	if len(j.names) == 0 { // of an earlier boot
		err = h.removeMarked(bridge)
	} else {
		err = h.unmake(ctx, bridge, j)
	}
	if err != nil {
		return errors.Join(err, flock(j.file, unix.LOCK_SH))
	}
	delete(h.held, bridge)
	return j.remove()
}

// removeMarked removes what bears a network's marks.
func (h *Host) removeMarked(bridge string) error {
	changes, err := h.salvage(bridge)
	if err != nil {
		return err
	}
	if err := h.share(bridge); err != nil {
		return err
	}
	var errs []error
	for _, c := range changes {
		if err := c.do(h.kernel); err != nil {
			errs = append(errs, &Error{Op: "remove", Network: bridge, Object: c.Object.String(), Err: err})
		}
	}
	return errors.Join(errs...)
}

// unmake destroys what a journal lists. What is gone with something larger is
// only crossed out.
func (h *Host) unmake(ctx context.Context, bridge string, j *journal) error {
	if err := errors.Join(h.share(bridge), j.settle(false, false)); err != nil {
		return err
	}
	var errs []error
	for _, c := range unmaking(j.objects()) {
		err := ctx.Err()
		if err == nil {
			err = h.step(bridge, j, c)
		}
		if err != nil {
			errs = append(errs, &Error{Op: "remove", Network: bridge, Object: c.Object.String(), Err: err})
		}
	}
	return errors.Join(errs...)
}

// unmaking lists how to destroy objects, last made first, leaving out what goes
// with its chain or its link.
func unmaking(objects []Object) Changes {
	chains := make(map[chainID]bool)
	doomed := make(map[string]bool)
	ports := make(map[string]bool)
	for _, o := range objects {
		switch o := o.(type) {
		case chain:
			chains[o.id()] = true
		case bridge:
			doomed[o.Name] = true
		case veth:
			ports[o.pair().Port()] = true
		case tapLink:
			ports[o.Tap.Name] = true
		}
	}
	var changes Changes
	for _, o := range slices.Backward(objects) {
		goes := false
		switch o := o.(type) {
		case rule:
			goes = chains[o.id()]
		case address:
			goes = doomed[o.Link]
		case up:
			goes = doomed[o.Link]
		case isolated:
			goes = ports[o.Link]
		case veth:
			goes = doomed[o.Bridge]
		case tapLink:
			goes = doomed[o.Bridge]
		case sysctl:
			goes = true
		}
		if goes {
			continue
		}
		if b, ok := o.(bridge); ok {
			o = links{b.Name}
		}
		changes = append(changes, Change{Delete, o})
	}
	return changes
}
