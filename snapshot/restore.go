package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Restore makes the volume a copy of one of its snapshots again, in one atomic
// step: whoever looks at the volume's path sees all of the old tree or all of the
// new one. What was written since is gone; the snapshots stay, all of them.
//
// It fails with ErrBusy, and says who, when a process or a mount still uses the
// tree: stop the machine first.
func (v *Volume) Restore(ctx context.Context, name string) error {
	in := intent{Op: "restore", Volume: v.name, Snapshot: name}
	err := v.store.do(ctx, in, func() error {
		if err := v.has(name); err != nil {
			return err
		}
		return v.unused()
	}, func(op *operation) error {
		if err := v.store.driver.Thaw(ctx, op.work("tree"), v.frozen(name)); err != nil {
			return err
		}
		if err := op.identify(ctx, op.work("tree")); err != nil {
			return err
		}
		if err := op.draftBase(ctx, name); err != nil {
			return err
		}
		_, err := v.store.driver.Identity(v.Path())
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

// base is the name of the snapshot that the volume's tree descends from, or empty.
// It is the target of a symbolic link for the reason that intents are.
func (v *Volume) base() string {
	name, err := os.Readlink(v.record("base"))
	if err != nil {
		return ""
	}
	return name
}

// draftBase makes the new base in the workshop, since what may find no space is done
// while the operation can still be undone.
func (op *operation) draftBase(ctx context.Context, name string) error {
	return step(ctx, "draft base", func() error { return os.Symlink(name, op.work("base")) })
}

// moveBase puts the new base, unless that has been done, into the volume's record.
func (op *operation) moveBase(ctx context.Context, v *Volume) error {
	return op.move(ctx, op.work("base"), v.record("base"))
}

// move renames a draft, if it is still there, to the place it was made for.
func (op *operation) move(ctx context.Context, draft, path string) error {
	there, err := present(draft)
	if err != nil || !there {
		return err
	}
	return rename(ctx, draft, path, 0)
}
