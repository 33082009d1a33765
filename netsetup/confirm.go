package netsetup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// deadMan puts a network back unless it is stopped in time.
type deadMan struct {
	timer *time.Timer
	keep  bool // Network.Keep, once confirmed
	done  chan struct{}
}

// Confirm says that the host is still within reach after Apply has bridged its
// uplink. Without it, Bridged.ConfirmWithin after Apply, or when the Host is
// closed before, everything is put back as by Remove; and if the program is
// killed meanwhile, Sweep does it, for a network that is not confirmed is not
// whole, Keep or not. Confirming again does no harm; a network that has been put
// back meanwhile, or was never applied, is fs.ErrNotExist.
func (h *Host) Confirm(ctx context.Context, bridge string) error {
	return h.change(ctx, "confirm", bridge, func() error {
		j, err := h.journal(bridge, false)
		if err != nil {
			return err
		}
		if len(j.names) == 0 {
			return fmt.Errorf("nothing of %s is left to confirm: %w", bridge, fs.ErrNotExist)
		}
		d := h.pending[bridge]
		if d == nil {
			return nil
		}
		h.awaitNothing(bridge)
		return j.settle(true, d.keep)
	})
}

// await starts the timer of a bridged uplink that was just made.
func (h *Host) await(n Network) {
	bridge, d := n.Bridge, &deadMan{keep: n.Keep, done: make(chan struct{})}
	h.awaitNothing(bridge)
	d.timer = time.AfterFunc(cmp.Or(n.Bridged.ConfirmWithin, confirmWithin), func() {
		defer close(d.done)
		h.log.Warn("not confirmed in time: putting the uplink back", "network", bridge)
		if err := h.putBack(bridge, d); err != nil {
			h.log.Error("cannot put the uplink back", "network", bridge, "error", err)
		}
	})
	h.pending[bridge] = d
}

// awaitNothing stops the timer of a network that is confirmed, or not the one any more
// that the timer was for.
func (h *Host) awaitNothing(bridge string) {
	if d := h.pending[bridge]; d != nil {
		d.timer.Stop()
		delete(h.pending, bridge)
	}
}

// putBack removes what is still waited for.
func (h *Host) putBack(bridge string, d *deadMan) error {
	ctx, cancel := context.WithTimeout(context.Background(), undoTime)
	defer cancel()
	return h.change(ctx, "put back", bridge, func() error {
		if h.pending[bridge] != d {
			return nil // confirmed, or removed, at the last moment
		}
		h.awaitNothing(bridge)
		return h.remove(ctx, bridge)
	})
}

// putAllBack removes everything that was not confirmed.
func (h *Host) putAllBack() error {
	waiting := make(map[string]*deadMan)
	err := h.do(context.Background(), "close", "", func() error {
		for bridge, d := range h.pending {
			waiting[bridge] = d
		}
		return nil
	})
	errs := []error{err}
	for bridge, d := range waiting {
		if !d.timer.Stop() {
			<-d.done
		}
		errs = append(errs, h.putBack(bridge, d))
	}
	return errors.Join(errs...)
}
