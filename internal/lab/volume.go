package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// volume makes a [snapshot.Volume], which may not exist yet, a [stage.Volume] that
// can go back to a clone of the base.
type volume struct {
	*Machine
	lab  *Lab
	base snapshot.Snapshot
}

// parentLabel holds a stage's parent key; the parent that snapshot itself keeps
// is the name of a snapshot.
const parentLabel = "parent-key"

// beforeSuffix makes the name of the volume that a machine had before its base changed.
const beforeSuffix = ".before"

func (v *volume) Saved(ctx context.Context) ([]stage.Saved, error) {
	return v.saved(ctx, v.Name)
}

func (v *volume) saved(ctx context.Context, name string) ([]stage.Saved, error) {
	var saved []stage.Saved
	vol, err := v.lab.store.Volume(name)
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

// Save takes a snapshot. The first of a stage on a new base ends the time for which
// those on the old one are kept.
func (v *volume) Save(ctx context.Context, s stage.Saved) error {
	err := v.with(v.Name, func(vol *snapshot.Volume) error {
		_, err := vol.Snapshot(ctx, s.Name, snapshot.Metadata{
			Key:    s.Key,
			Labels: map[string]string{parentLabel: s.Parent},
		})
		return err
	})
	if err != nil || !ofStage(s) {
		return err
	}
	return v.delete(ctx, v.Name+beforeSuffix)
}

// ofStage tells a stage's snapshot from that of the base, which has no parent, and from
// that of a failed tree, which has no key.
func ofStage(s stage.Saved) bool { return s.Key != "" && s.Parent != "" }

func (v *volume) Restore(ctx context.Context, name string) error {
	return v.with(v.Name, func(vol *snapshot.Volume) error { return vol.Restore(ctx, name) })
}

func (v *volume) Remove(ctx context.Context, name string) error {
	return v.with(v.Name, func(vol *snapshot.Volume) error { return vol.DeleteSnapshot(ctx, name) })
}

// Diff tells what changed between two snapshots.
func (v *volume) Diff(ctx context.Context, from, to string) (changes []stage.FileChange, err error) {
	kinds := map[snapshot.ChangeKind]stage.ChangeKind{snapshot.Added: stage.Added, snapshot.Removed: stage.Removed}
	err = v.with(v.Name, func(vol *snapshot.Volume) error {
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

func (v *volume) with(name string, f func(*snapshot.Volume) error) error {
	vol, err := v.lab.store.Volume(name)
	if err != nil {
		return err
	}
	return f(vol)
}

// delete removes a volume that may not exist.
func (v *volume) delete(ctx context.Context, name string) error {
	return deleteVolume(ctx, v.lab.store, name)
}

// Reset makes the volume a fresh clone of the base with an identity of its own.
func (v *volume) Reset(ctx context.Context) error {
	if err := v.setAside(ctx); err != nil {
		return err
	}
	if v.Boots != nil { // it holds records only
		_, err := v.lab.store.Create(ctx, v.Name)
		return err
	}
	return v.clone(ctx, v.base)
}

func (v *volume) clone(ctx context.Context, from snapshot.Snapshot) error {
	clone, err := v.lab.store.Clone(ctx, v.Name, from)
	if err != nil || v.Boots != nil {
		return err
	}
	return archboot.Identify(ctx, clone.Path(), v.lab.identity(v.Machine))
}

// setAside makes room for a new volume. One that has stages keeps them under another
// name until a stage succeeds on the new base: should that fail, nothing is lost.
func (v *volume) setAside(ctx context.Context) error {
	saved, err := v.Saved(ctx)
	if err != nil {
		return err
	}
	stages := 0
	for _, s := range saved {
		if ofStage(s) {
			stages++
		}
	}
	if stages == 0 {
		return v.delete(ctx, v.Name)
	}
	if err := v.delete(ctx, v.Name+beforeSuffix); err != nil {
		return err
	}
	v.lab.say("%s: its base changed: its tree and %d snapshots are kept as %s until a stage succeeds on the new one", v.Name, stages, v.Name+beforeSuffix)
	return v.with(v.Name, func(vol *snapshot.Volume) error {
		if _, err := vol.Rename(ctx, v.Name+beforeSuffix); err != nil {
			return fmt.Errorf("set the old tree aside: %w", err)
		}
		return nil
	})
}
