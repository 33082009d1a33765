package snapshot

import (
	"context"
	"errors"
	"io/fs"
)

// A ledger adds up what several snapshots take together.
type ledger struct {
	alone  int64
	shared spans
	layers map[string]bool // that have been counted
}

func (l *ledger) total() int64 { return l.alone + l.shared.size() }

// charge adds a snapshot, unless somebody has deleted it.
func (v *Volume) charge(ctx context.Context, l *ledger, s Snapshot) error {
	dirs, err := v.layersOf(ctx, s)
	for dir := range dirs {
		if err == nil && !l.layers[dir] {
			err = l.add(ctx, dir)
		}
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (l *ledger) add(ctx context.Context, dir string) error {
	parts := l.shared
	m := newMeter(ctx)
	m.shared = func(at span) { parts = append(parts, at) }
	if err := m.tree(dir); err != nil {
		return err
	}
	if l.layers == nil {
		l.layers = map[string]bool{}
	}
	l.layers[dir] = true
	l.alone += m.exclusive
	l.shared = normalize(parts)
	return nil
}

// layersOf returns the directories that a snapshot's files are in.
func (v *Volume) layersOf(ctx context.Context, s Snapshot) (map[string]bool, error) {
	if l, ok := v.store.driver.(layered); ok {
		return l.Layers(v.frozen(s.Name))
	}
	dir, release, err := v.View(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	return map[string]bool{dir: false}, release()
}
