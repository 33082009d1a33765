package snapshot

import (
	"context"
	"errors"
	"io/fs"
)

// Restore makes the volume a copy of one of its snapshots again, in one atomic
// step: whoever looks at the volume's path sees all of the old tree or all of the
// new one. What was written since is gone; the snapshots stay, all of them.
//
// It fails with ErrBusy, and says who, when a process or a mount still uses the
// tree: stop the machine first.
func (v *Volume) Restore(ctx context.Context, name string) error {
	in := intent{Op: "restore", Volume: v.name, Snapshot: name}
	instant := v.store.driver.Capabilities().Instant
	err := v.store.do(ctx, in, func() error {
		if err := v.has(name); err != nil || instant {
			return err
		}
		return v.unused() // before a long copy is made in vain
	}, func(op *operation) error {
		unused := func() error { return nil }
		if instant { // the new tree is made meanwhile, which waits for the disk
			unused = aside(v.unused)
		}
		err := v.store.driver.Thaw(ctx, op.work("tree"), v.frozen(name))
		if busy := unused(); busy != nil {
			return busy
		}
		if err != nil {
			return err
		}
		if err := op.identify(ctx, op.work("tree")); err != nil {
			return err
		}
		_, sequence := v.readBase()
		if err := op.draftBase(ctx, name, sequence); err != nil {
			return err
		}
		_, err = v.store.driver.Identity(v.Path())
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody removed the tree: this brings it back
			return v.store.driver.Place(ctx, op.work("tree"), v.Path())
		case err != nil:
			return err
		}
		return v.store.driver.Swap(ctx, op.work("tree"), v.Path())
	})
	return wrap(Error{Op: "restore", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

// aside runs f and returns what waits for its result.
func aside(f func() error) func() error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() error { return <-done }
}

// settleRestore: the volume is restored from the moment it shows the new tree;
// what is in the workshop is then the old one.
func (op *operation) settleRestore(ctx context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	done, err := op.placed(v)
	if err != nil || !done {
		return false, err
	}
	return true, op.moveBase(ctx, v)
}
