package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Cloner is a [Volume] that can make its tree a copy of another volume's snapshot.
type Cloner interface {
	CloneFrom(ctx context.Context, source Volume, snapshot string) error
}

// Fork returns a copy of the lab as it is after the stages that s wants, all of which
// must be cached. The copy has the options given: a state directory and targets of its
// own, with volumes that are [Cloner]s. Its machines are not started; its Run finds
// everything cached, and the two go their own ways. What must differ between them,
// such as bridges and machine-ids, is the business of the new targets; addresses
// inside may be the same.
func (l *Lab) Fork(ctx context.Context, s Steering, opts Options) (*Lab, error) {
	copied, err := Open(l.plan, opts)
	if err != nil {
		return nil, err
	}
	if copied.dir == l.dir {
		return nil, fmt.Errorf("fork: %w: the same StateDir", ErrInvalid)
	}
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	tracks, err := l.tracks(ctx, s)
	if err != nil {
		return nil, err
	}
	unlockCopy, err := copied.dir.lock(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer unlockCopy()
	if err := copyKey(copied.dir, l.dir); err != nil {
		return nil, err
	}
	var errs []error
	for _, t := range tracks {
		if err := l.forkOne(ctx, t, copied); err != nil {
			errs = append(errs, &Error{Op: "fork", Machine: t.setup.Machine, Err: err})
		}
	}
	return copied, errors.Join(errs...)
}

func (l *Lab) forkOne(ctx context.Context, t *track, copied *Lab) error {
	saved, ok := t.newest(t.keyOf(t.goal))
	if !ok {
		return t.missing(t.goal)
	}
	target := copied.opts.Targets[t.setup.Machine]
	c, ok := target.Volume.(Cloner)
	if !ok {
		return fmt.Errorf("volume is no Cloner: %w", ErrNotSupported)
	}
	state, err := copied.dir.loadMachine(t.setup.Machine)
	if err != nil {
		return err
	}
	if err := state.update(func(m *machineState) { m.Clean, m.Tree = false, "" }); err != nil {
		return err
	}
	if err := c.CloneFrom(ctx, t.target.Volume, saved.Name); err != nil {
		return err
	}
	err = target.Volume.Save(ctx, Saved{Name: saved.Name, Key: saved.Key, Parent: saved.Parent})
	if err != nil {
		return err
	}
	keys := map[string]string{}
	for _, w := range t.work[:t.goal+1] {
		keys[w.Name] = w.key
		if w.recipe != nil {
			if err := copied.dir.saveRecipe(w.key, w.recipe); err != nil {
				return err
			}
		}
		if ports, known := l.dir.loadPorts(w.key); known {
			if err := copied.dir.savePorts(w.key, ports); err != nil {
				return err
			}
		}
	}
	return state.update(func(m *machineState) { m.Clean, m.Tree, m.Up, m.Keys = true, saved.Key, false, keys })
}

// copyKey makes secrets have the same HMACs in both labs.
func copyKey(to, from stateDir) error {
	key, err := os.ReadFile(from.path("key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to.path("key")), 0o755); err != nil {
		return err
	}
	return writeFile(to.path("key"), key, 0o600)
}
