package snapshot

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
)

// Snapshots yields the volume's snapshots, oldest first. It yields an error at
// most once, as the last element.
func (v *Volume) Snapshots(ctx context.Context) iter.Seq2[Snapshot, error] {
	return v.matching("list", func(Snapshot) bool { return true })
}

// FindKeyPrefix yields the snapshots whose key begins with prefix, oldest first, in the
// manner of Snapshots.
func (v *Volume) FindKeyPrefix(ctx context.Context, prefix string) iter.Seq2[Snapshot, error] {
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
	slices.SortFunc(list, func(a, b Snapshot) int { return cmp.Compare(a.sequence, b.sequence) })
	return list, nil
}

func (v *Volume) read(name string) (Snapshot, error) {
	var rec snapshotRecord
	err := readRecord(v.record("snapshots", name, snapshotFile), &rec)
	return rec.snapshot(v.name, name), err
}
