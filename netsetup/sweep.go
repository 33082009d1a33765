package netsetup

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Sweep removes the networks of this namespace whose programs are dead: those
// without Network.Keep, and those that were being made or removed when the end
// came. It returns the names of their bridges. A network that a living program
// has applied is left alone, and so is anything that is in no journal.
func (h *Host) Sweep(ctx context.Context) ([]string, error) {
	var swept []string
	err := h.change(ctx, "sweep", "", func() error {
		names, err := h.recorded()
		if err != nil {
			return err
		}
		var errs []error
		for _, name := range names {
			done, err := h.sweep(ctx, name)
			if done {
				swept = append(swept, name)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		return errors.Join(errs...)
	})
	return swept, err
}

// sweep removes one network if nobody lives who applied it.
func (h *Host) sweep(ctx context.Context, bridge string) (bool, error) {
	if h.held[bridge] != nil {
		return false, nil
	}
	j, err := openJournal(h.journalPath(bridge), false)
	if err != nil {
		return false, err
	}
	defer unlock(j.file)
	err = flock(j.file, unix.LOCK_EX)
	if errors.Is(err, unix.EWOULDBLOCK) || j.whole && j.keep {
		return false, nil
	}
	if err == nil {
		err = h.unmake(ctx, bridge, j)
	}
	if err != nil {
		return false, err
	}
	return true, j.remove()
}
