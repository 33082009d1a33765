package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Keep says which of a volume's snapshots [Volume.GC] leaves. A snapshot is left if any
// of its fields says so, and always if the volume's tree descends from it.
type Keep struct {
	// Last is how many of the newest are left.
	Last int
	// Label is a label that pins the snapshots that have it, whatever its value.
	// Empty is none.
	Label string
	// Func, if given, pins the snapshots for which it returns true.
	Func func(Snapshot) bool
	// MaxBytes leaves more than that, the newest first, as long as all that are left
	// take no more bytes together, with what they share counted once. The volume's
	// tree is not counted.
	MaxBytes int64
	// MinFree, unless 0, deletes no more than it takes for the file system to have
	// that many bytes free, and waits for them after each deletion.
	MinFree int64
	// Wait returns only when the driver has given the space back. Btrfs does so in
	// the background, some seconds later.
	Wait bool
}

// GC deletes the snapshots of the volume that keep does not say to leave, oldest first,
// and returns those it deleted. When it fails, the snapshots that it returns are deleted
// and the others are not.
func (v *Volume) GC(ctx context.Context, keep Keep) ([]Snapshot, error) {
	deleted, err := v.gc(ctx, keep)
	return deleted, wrap(Error{Op: "collect garbage of", Path: v.store.dir, Volume: v.name}, err)
}

func (v *Volume) gc(ctx context.Context, keep Keep) (deleted []Snapshot, err error) {
	garbage, err := v.garbage(ctx, keep)
	if err != nil {
		return nil, err
	}
	for _, s := range garbage {
		if enough, err := v.store.hasFree(keep.MinFree); enough || err != nil {
			return deleted, err
		}
		err := v.DeleteSnapshot(ctx, s.Name)
		if errors.Is(err, ErrNotFound) {
			continue // somebody else has
		}
		if err != nil {
			return deleted, err
		}
		deleted = append(deleted, s)
		if keep.MinFree > 0 {
			if err := v.store.Reclaim(ctx); err != nil {
				return deleted, err
			}
		}
	}
	if keep.Wait {
		return deleted, v.store.Reclaim(ctx)
	}
	return deleted, nil
}

// garbage lists the snapshots that keep does not leave, oldest first.
func (v *Volume) garbage(ctx context.Context, keep Keep) ([]Snapshot, error) {
	if keep.Last < 0 || keep.MaxBytes < 0 || keep.MinFree < 0 {
		return nil, fmt.Errorf("%w: a number to keep is negative", ErrInvalid)
	}
	list, err := v.list()
	if err != nil {
		return nil, err
	}
	var left, garbage []Snapshot
	for i, s := range list {
		if len(list)-i <= keep.Last || keep.pins(s) || s.Name == v.base() {
			left = append(left, s)
		} else {
			garbage = append(garbage, s)
		}
	}
	if keep.MaxBytes == 0 {
		return garbage, nil
	}
	within, err := v.within(ctx, keep.MaxBytes, left, garbage)
	return garbage[:len(garbage)-within], err
}

// within is how many of the newest snapshots in list fit into a budget along with those
// that are left anyway.
func (v *Volume) within(ctx context.Context, budget int64, left, list []Snapshot) (int, error) {
	var l ledger
	for _, s := range left {
		if err := v.charge(ctx, &l, s); err != nil {
			return 0, err
		}
	}
	for i, s := range slices.Backward(list) {
		err := v.charge(ctx, &l, s)
		if err != nil || l.total() > budget {
			return len(list) - 1 - i, err
		}
	}
	return len(list), nil
}

func (k Keep) pins(s Snapshot) bool {
	_, labelled := s.Labels[k.Label]
	return k.Label != "" && labelled || k.Func != nil && k.Func(s)
}

// hasFree reports whether the file system has that many bytes free, unless 0.
func (s *Store) hasFree(bytes int64) (bool, error) {
	if bytes == 0 {
		return false, nil
	}
	free, err := freeSpace(s.dir)
	return free >= bytes, err
}

// freeSpace is what an unprivileged user may still write, in bytes.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return int64(st.Bavail) * st.Bsize, err
}

// A reclaimer is a driver that gives space back in the background.
type reclaimer interface {
	// Reclaim waits until the space of all that was removed below dir is free.
	Reclaim(ctx context.Context, dir string) error
}

// Reclaim waits until the space of what was deleted is free again, where the driver
// frees it in the background.
func (s *Store) Reclaim(ctx context.Context) error {
	r, ok := s.driver.(reclaimer)
	if !ok {
		return nil
	}
	return wrap(Error{Op: "reclaim space", Path: s.dir}, r.Reclaim(ctx, s.dir))
}
