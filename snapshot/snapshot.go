package snapshot

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
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
	// Created is when it was taken, by the clock of the host. The order of
	// snapshots does not depend on it.
	Created time.Time
	Metadata

	sequence uint64
}

// snapshotRecord is what snapshot.json holds. The name is that of its directory.
type snapshotRecord struct {
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
	rec := snapshotRecord{Created: time.Now().UTC(), Metadata: md}
	if err := checkName("snapshot", name); err != nil {
		return Snapshot{}, err
	}
	check := func() (err error) {
		if err := v.lacks(name); err != nil {
			return err
		}
		if rec.Parent == "" {
			rec.Parent = v.base()
		}
		if t, ok := v.store.driver.(tracker); ok {
			if rec.Descent, err = t.Descent(v.Path()); err != nil {
				return err
			}
		}
		rec.Sequence, err = v.nextSequence()
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
		if err := v.store.driver.Freeze(ctx, op.work("item", "tree"), v.Path()); err != nil {
			return err
		}
		if err := op.draftBase(ctx, name); err != nil {
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
	return Snapshot{volume, name, rec.Created, rec.Metadata, rec.Sequence}
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
	ok, err := present(v.item(name))
	if err == nil && !ok {
		err = fmt.Errorf("no such snapshot: %w", ErrNotFound)
	}
	return err
}

// lacks fails with ErrExists if the volume has the snapshot.
func (v *Volume) lacks(name string) error {
	if err := v.exists(); err != nil {
		return err
	}
	taken, err := present(v.item(name))
	if err == nil && taken {
		err = fmt.Errorf("snapshot %w", ErrExists)
	}
	return err
}

// nextSequence orders snapshots whatever the clock does.
func (v *Volume) nextSequence() (uint64, error) {
	list, err := v.list()
	if err != nil || len(list) == 0 {
		return 1, err
	}
	return list[len(list)-1].sequence + 1, nil
}

// list reads all snapshots, oldest first. One that is deleted meanwhile is left out.
func (v *Volume) list() ([]Snapshot, error) {
	if err := v.exists(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(v.record("snapshots"))
	if err != nil {
		return nil, err
	}
	var list []Snapshot
	for _, e := range entries {
		s, err := v.read(e.Name())
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Snapshot) int { return int(a.sequence) - int(b.sequence) })
	return list, nil
}

func (v *Volume) read(name string) (Snapshot, error) {
	var rec snapshotRecord
	err := readRecord(v.record("snapshots", name, snapshotFile), &rec)
	return rec.snapshot(v.name, name), err
}

// Snapshots yields the volume's snapshots, oldest first. It yields an error at
// most once, as the last element.
func (v *Volume) Snapshots(ctx context.Context) iter.Seq2[Snapshot, error] {
	return v.matching("list", func(Snapshot) bool { return true })
}

// KeyPrefix yields the snapshots whose key begins with prefix, oldest first, in the
// manner of Snapshots.
func (v *Volume) KeyPrefix(ctx context.Context, prefix string) iter.Seq2[Snapshot, error] {
	return v.matching("find", func(s Snapshot) bool { return strings.HasPrefix(s.Key, prefix) })
}

func (v *Volume) matching(op string, match func(Snapshot) bool) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		list, err := v.list()
		for _, s := range list {
			if match(s) && !yield(s, nil) {
				return
			}
		}
		if err != nil {
			yield(Snapshot{}, wrap(Error{Op: op, Path: v.store.dir, Volume: v.name}, err))
		}
	}
}

// Find returns the snapshot of that name, or fails with ErrNotFound.
func (v *Volume) Find(ctx context.Context, name string) (Snapshot, error) {
	err := v.has(name)
	var s Snapshot
	if err == nil {
		s, err = v.read(name)
	}
	return s, wrap(Error{Op: "find", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

// FindKey returns the newest snapshot with that key, or fails with ErrNotFound.
func (v *Volume) FindKey(ctx context.Context, key string) (Snapshot, error) {
	list, err := v.list()
	for _, s := range slices.Backward(list) {
		if s.Key == key && key != "" {
			return s, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("no snapshot has key %q: %w", abbreviate(key), ErrNotFound)
	}
	return Snapshot{}, wrap(Error{Op: "find", Path: v.store.dir, Volume: v.name}, err)
}

// DeleteSnapshot removes a snapshot. Others that were built upon it stay whole.
// The space may come back later, where the driver frees it in the background.
func (v *Volume) DeleteSnapshot(ctx context.Context, name string) error {
	in := intent{Op: "delete-snapshot", Volume: v.name, Snapshot: name}
	check := func() error { return v.has(name) }
	err := v.store.do(ctx, in, check, func(op *operation) error {
		return rename(ctx, v.item(name), op.work("item"), 0)
	})
	return wrap(Error{Op: "delete", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

// settleDeleteSnapshot: the snapshot is deleted from the moment it is not shown.
func (op *operation) settleDeleteSnapshot(context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	shown, err := present(v.item(op.Snapshot))
	return !shown && err == nil, err
}

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
			return v.lacks(to)
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
	if v.base() == op.Snapshot {
		if err := op.draftBase(ctx, op.To); err != nil {
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

// View gives a directory where a snapshot's files can be read, until release is called.
// It is not to be written to: what then happens depends on the driver.
func (v *Volume) View(ctx context.Context, name string) (dir string, release func() error, err error) {
	if err = v.has(name); err == nil {
		dir, release, err = v.store.driver.View(ctx, v.frozen(name))
	}
	return dir, release, wrap(Error{Op: "view", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}
