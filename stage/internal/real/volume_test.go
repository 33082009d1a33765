package real

import (
	"context"
	"errors"
	"fmt"

	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// volume makes a [snapshot.Volume], which may not exist yet, a [stage.Volume].
type volume struct {
	store    *snapshot.Store
	name     string
	base     snapshot.Snapshot
	restores int
}

var (
	_ stage.Resetter = (*volume)(nil)
	_ stage.Differ   = (*volume)(nil)
	_ stage.Cloner   = (*volume)(nil)
)

func (v *volume) with(f func(*snapshot.Volume) error) error {
	vol, err := v.store.Volume(v.name)
	if err != nil {
		return err
	}
	return f(vol)
}

func (v *volume) Saved(ctx context.Context) (saved []stage.Saved, err error) {
	vol, err := v.store.Volume(v.name)
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for s, err := range vol.Snapshots(ctx) {
		if err != nil {
			return nil, err
		}
		saved = append(saved, stage.Saved{Name: s.Name, Key: s.Key, Parent: s.Labels["parent"], Time: s.Created})
	}
	return saved, nil
}

func (v *volume) Save(ctx context.Context, s stage.Saved) error {
	return v.with(func(vol *snapshot.Volume) error {
		_, err := vol.Snapshot(ctx, s.Name, snapshot.Metadata{Key: s.Key, Labels: map[string]string{"parent": s.Parent}})
		return err
	})
}

func (v *volume) Restore(ctx context.Context, name string) error {
	v.restores++
	return v.with(func(vol *snapshot.Volume) error { return vol.Restore(ctx, name) })
}

func (v *volume) Remove(ctx context.Context, name string) error {
	return v.with(func(vol *snapshot.Volume) error { return vol.DeleteSnapshot(ctx, name) })
}

func (v *volume) Diff(ctx context.Context, from, to string) (changes []stage.FileChange, err error) {
	kinds := map[snapshot.ChangeKind]stage.ChangeKind{snapshot.Added: stage.Added, snapshot.Removed: stage.Removed}
	err = v.with(func(vol *snapshot.Volume) error {
		for c, err := range vol.Diff(ctx, from, to) {
			if err != nil {
				return err
			}
			kind, ok := kinds[c.Kind]
			if !ok {
				kind = stage.Modified
			}
			changes = append(changes, stage.FileChange{Path: "/" + c.Path, Kind: kind})
		}
		return nil
	})
	return changes, err
}

// replace makes the volume a clone, in place of what there was.
func (v *volume) replace(ctx context.Context, from snapshot.Snapshot) error {
	err := v.with(func(vol *snapshot.Volume) error { return vol.Delete(ctx) })
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return err
	}
	_, err = v.store.Clone(ctx, v.name, from)
	return err
}

func (v *volume) Reset(ctx context.Context) error { return v.replace(ctx, v.base) }

func (v *volume) CloneFrom(ctx context.Context, source stage.Volume, name string) error {
	from, ok := source.(*volume)
	if !ok {
		return fmt.Errorf("clone from a %T: %w", source, stage.ErrNotSupported)
	}
	return from.with(func(vol *snapshot.Volume) error {
		s, err := vol.Find(ctx, name)
		if err != nil {
			return err
		}
		return v.replace(ctx, s)
	})
}
