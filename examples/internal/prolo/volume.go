package prolo

import (
	"context"
	"errors"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// volume makes a [snapshot.Volume], which may not exist yet, a [stage.Volume]
// that can go back to a clone of the base.
type volume struct {
	store    *snapshot.Store
	name     string
	hostname string
	base     snapshot.Snapshot
}

// parentLabel holds a stage's parent key; the parent that snapshot itself keeps
// is the name of a snapshot.
const parentLabel = "parent-key"

func (v *volume) Saved(ctx context.Context) ([]stage.Saved, error) {
	var saved []stage.Saved
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
		saved = append(saved, stage.Saved{Name: s.Name, Key: s.Key, Parent: s.Labels[parentLabel], Time: s.Created})
	}
	return saved, nil
}

func (v *volume) Save(ctx context.Context, s stage.Saved) error {
	return v.with(func(vol *snapshot.Volume) error {
		_, err := vol.Snapshot(ctx, s.Name, snapshot.Metadata{
			Key:    s.Key,
			Labels: map[string]string{parentLabel: s.Parent},
		})
		return err
	})
}

func (v *volume) Restore(ctx context.Context, name string) error {
	return v.with(func(vol *snapshot.Volume) error { return vol.Restore(ctx, name) })
}

func (v *volume) Remove(ctx context.Context, name string) error {
	return v.with(func(vol *snapshot.Volume) error { return vol.DeleteSnapshot(ctx, name) })
}

func (v *volume) with(f func(*snapshot.Volume) error) error {
	vol, err := v.store.Volume(v.name)
	if err != nil {
		return err
	}
	return f(vol)
}

// Reset makes the volume a fresh clone of the base with an identity of its own.
func (v *volume) Reset(ctx context.Context) error {
	err := v.with(func(vol *snapshot.Volume) error { return vol.Delete(ctx) })
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return err
	}
	clone, err := v.store.Clone(ctx, v.name, v.base)
	if err != nil {
		return err
	}
	return archboot.Identify(ctx, clone.Path(), archboot.Identity{
		Hostname:  v.hostname,
		MachineID: archboot.DeriveMachineID(Zone, v.name),
	})
}
