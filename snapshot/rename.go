package snapshot

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// RenameSnapshot gives a snapshot another name; snapshots that were built upon it
// follow. It fails with ErrExists when the volume has one of that name.
func (v *Volume) RenameSnapshot(ctx context.Context, name, to string) error {
	err := checkName("snapshot", to)
	if err == nil {
		in := intent{Op: "rename-snapshot", Volume: v.name, Snapshot: name, To: to}
		err = v.store.do(ctx, in, func() error {
			if err := v.has(name); err != nil {
				return err
			}
			return v.lacks(ctx, to)
		}, func(op *operation) error {
			if err := op.draftRecords(ctx, v); err != nil {
				return err
			}
			return rename(ctx, v.item(name), v.item(to), unix.RENAME_NOREPLACE)
		})
	}
	return wrap(Error{Op: "rename", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

// draftRecords makes new records in the workshop for what names the snapshot.
func (op *operation) draftRecords(ctx context.Context, v *Volume) error {
	if base, sequence := v.readBase(); base == op.Snapshot {
		if err := op.draftBase(ctx, op.To, sequence); err != nil {
			return err
		}
	}
	list, err := v.list()
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Parent != op.Snapshot {
			continue
		}
		var rec snapshotRecord
		if err := readRecord(v.record("snapshots", s.Name, snapshotFile), &rec); err != nil {
			return err
		}
		rec.Parent = op.To
		if err := writeRecord(ctx, op.workRecord(s), rec); err != nil {
			return err
		}
	}
	return nil
}

// workRecord is the draft of a snapshot's record.
func (op *operation) workRecord(s Snapshot) string {
	return op.work(fmt.Sprintf("%d.json", s.sequence))
}

// settleRenameSnapshot: what names the snapshot follows its own new name.
func (op *operation) settleRenameSnapshot(ctx context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	if shown, err := present(v.item(op.Snapshot)); err != nil || shown {
		return false, err
	}
	list, err := v.list()
	if err != nil {
		return false, err
	}
	for _, s := range list {
		if err := op.move(ctx, op.workRecord(s), v.record("snapshots", s.Name, snapshotFile)); err != nil {
			return false, err
		}
	}
	return true, op.moveBase(ctx, v)
}
