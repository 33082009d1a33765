package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// DeleteSnapshot removes a snapshot. Others that were built upon it stay whole.
// The space may come back later, where the driver frees it in the background.
//
// It works on a full file system too, as long as that lets go of anything.
func (v *Volume) DeleteSnapshot(ctx context.Context, name string) error {
	in := intent{Op: "delete-snapshot", Volume: v.name, Snapshot: name}
	check := func() error { return v.has(name) }
	err := v.store.do(ctx, in, check, func(op *operation) error {
		return rename(ctx, v.item(name), op.work("item"), 0)
	})
	if errors.Is(classify(err), ErrNoSpace) {
		if err = v.deleteWithoutIntent(ctx, name); errors.Is(err, ErrNotFound) {
			err = nil // it was the last steps that found no space
		}
	}
	return wrap(Error{Op: "delete", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

// settleDeleteSnapshot: the snapshot is deleted from the moment it is not shown.
func (op *operation) settleDeleteSnapshot(context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	shown, err := present(v.item(op.Snapshot))
	return !shown && err == nil, err
}

// deleteWithoutIntent is for a file system with no space for even that. What has lost
// its record is no snapshot any more, and is swept when the store is opened.
func (v *Volume) deleteWithoutIntent(ctx context.Context, name string) error {
	return v.store.locked(ctx, "delete-snapshot", func() error {
		if err := v.has(name); err != nil {
			return err
		}
		err := step(ctx, "remove record", func() error { return os.Remove(v.record("snapshots", name, snapshotFile)) })
		if err != nil && v.has(name) == nil {
			return err
		}
		if err := v.clearItem(ctx, name); err != nil {
			v.store.log.WarnContext(ctx, "left for the next sweep", "dir", v.item(name), "err", err)
		}
		return nil
	})
}

// clearItem removes what is left of a snapshot without a record.
func (v *Volume) clearItem(ctx context.Context, name string) error {
	if err := v.store.driver.Remove(ctx, v.frozen(name)); err != nil {
		return err
	}
	return step(ctx, "remove item", func() error { return os.RemoveAll(v.item(name)) })
}

// sweepItems removes what is left of snapshots without a record. Only the holder of the
// store's lock may call it.
func (v *Volume) sweepItems(ctx context.Context) error {
	entries, err := os.ReadDir(v.record("snapshots"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, err := os.Lstat(filepath.Join(v.item(e.Name()), snapshotFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = v.clearItem(ctx, e.Name())
		}
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EROFS) { // nobody sees it meanwhile
			v.store.log.WarnContext(ctx, "left for the next sweep", "dir", v.item(e.Name()), "err", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
