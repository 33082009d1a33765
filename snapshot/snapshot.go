package snapshot

import (
	"context"
	"fmt"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Metadata is what a snapshot is filed under.
type Metadata struct {
	// Key is what the snapshot can be looked up by. Several may have the same;
	// empty is no key.
	Key string `json:",omitempty"`
	// Parent is the name of the snapshot that this one was built upon. When it
	// is empty it becomes the one that the volume was last restored from or
	// snapshotted as.
	Parent string `json:",omitempty"`
	// Labels are the caller's own.
	Labels map[string]string `json:",omitempty"`
}

// A Snapshot is a frozen copy of a volume. It is a plain value, true at the time
// it was read.
type Snapshot struct {
	// Volume and Name name it.
	Volume, Name string
	// ID is shared by all copies of the snapshot that Import made, in whatever store,
	// and by nothing else.
	ID string
	// Created is when it was taken, by the clock of the host. The order of
	// snapshots does not depend on it.
	Created time.Time
	Metadata

	sequence uint64
}

// snapshotRecord is what snapshot.json holds. The name is that of its directory.
type snapshotRecord struct {
	ID       string `json:",omitempty"`
	Sequence uint64
	Created  time.Time
	Metadata
	// Descent is what a tracker says of the volume's tree at that time.
	Descent string `json:",omitempty"`
}

const snapshotFile = "snapshot.json"

// Snapshot takes a snapshot of the volume as it is now. It fails with ErrExists
// when the volume has one of that name.
//
// A process may be writing meanwhile where the driver's Capabilities say Live: the
// snapshot then shows one instant, as after a power cut. For a tidy one freeze or
// stop the machine first.
func (v *Volume) Snapshot(ctx context.Context, name string, md Metadata) (Snapshot, error) {
	snap, err := v.snapshot(ctx, name, md)
	return snap, wrap(Error{Op: "snapshot", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

func (v *Volume) snapshot(ctx context.Context, name string, md Metadata) (Snapshot, error) {
	var rec snapshotRecord
	if err := checkName("snapshot", name); err != nil {
		return Snapshot{}, err
	}
	check := func() (err error) {
		rec, err = v.nextRecord(ctx, name, md)
		return err
	}
	err := v.store.do(ctx, intent{Op: "snapshot", Volume: v.name, Snapshot: name}, check, func(op *operation) error {
		err := step(ctx, "make item", func() error { return os.Mkdir(op.work("item"), 0o700) })
		if err != nil {
			return err
		}
		if err := writeRecord(ctx, op.work("item", snapshotFile), rec); err != nil {
			return err
		}
		if err := op.draftBase(ctx, name, rec.Sequence); err != nil {
			return err
		}
		if err := v.store.driver.Freeze(ctx, op.work("item", "tree"), v.Path()); err != nil {
			return err
		}
		return rename(ctx, op.work("item"), v.item(name), unix.RENAME_NOREPLACE)
	})
	if err != nil {
		return Snapshot{}, err
	}
	return rec.snapshot(v.name, name), nil
}

func (rec snapshotRecord) snapshot(volume, name string) Snapshot {
	rec.Labels = maps.Clone(rec.Labels)
	return Snapshot{volume, name, rec.ID, rec.Created, rec.Metadata, rec.Sequence}
}

// settleSnapshot: the snapshot exists from the moment its item is shown.
func (op *operation) settleSnapshot(ctx context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	shown, err := present(v.item(op.Snapshot))
	if err != nil || !shown {
		return false, err
	}
	return true, op.moveBase(ctx, v)
}

// item is the directory that holds a snapshot, frozen its tree.
func (v *Volume) item(name string) string   { return v.record("snapshots", name) }
func (v *Volume) frozen(name string) string { return v.record("snapshots", name, "tree") }

// has fails with ErrNotFound unless the volume has the snapshot.
func (v *Volume) has(name string) error {
	if err := checkName("snapshot", name); err != nil {
		return err
	}
	if err := v.exists(); err != nil {
		return err
	}
	ok, err := present(v.record("snapshots", name, snapshotFile))
	if err == nil && !ok {
		err = fmt.Errorf("no such snapshot: %w", ErrNotFound)
	}
	return err
}

// lacks fails with ErrExists if the volume has the snapshot, and sweeps what is left of
// one that had the name.
func (v *Volume) lacks(ctx context.Context, name string) error {
	if err := v.exists(); err != nil {
		return err
	}
	taken, err := present(v.item(name))
	if err != nil || !taken {
		return err
	}
	if whole, err := present(v.record("snapshots", name, snapshotFile)); err != nil {
		return err
	} else if whole {
		return fmt.Errorf("snapshot %w", ErrExists)
	}
	return v.clearItem(ctx, name)
}

// View gives a directory where a snapshot's files can be read, until release is called.
// It is not to be written to: what then happens depends on the driver.
func (v *Volume) View(ctx context.Context, name string) (dir string, release func() error, err error) {
	if err = v.has(name); err == nil {
		dir, release, err = v.store.driver.View(ctx, v.frozen(name))
	}
	return dir, release, wrap(Error{Op: "view", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}
