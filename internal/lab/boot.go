package lab

import (
	"context"
	"errors"
	"path"
	"path/filepath"

	"github.com/prologin/rig/internal/intree"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
)

// Boot makes a machine that the lab did not have: a clone of the base with the given
// files in it, by their absolute paths, started and ready. It may be called
// concurrently.
func (l *Lab) Boot(ctx context.Context, m Machine, files map[string]string) (_ *nspawn.Machine, err error) {
	base, err := l.base(ctx)
	if err != nil {
		return nil, err
	}
	v := &volume{Machine: &m, lab: l, base: base}
	if err := v.clone(ctx, base); err != nil {
		return nil, err
	}
	if err := writeFiles(filepath.Join(l.StoreDir(), m.Name), files); err != nil {
		return nil, err
	}
	if err := l.machine(&m).boot(ctx); err != nil {
		return nil, err
	}
	return l.host.Find(ctx, m.Name)
}

func writeFiles(root string, files map[string]string) error {
	tree, err := intree.Open(root)
	if err != nil {
		return err
	}
	defer tree.Close()
	for name, content := range files {
		if err := tree.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		if err := tree.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Discard kills a machine, if it runs, and deletes its tree, if there is one.
func (l *Lab) Discard(ctx context.Context, name string) error {
	m := l.machine(&Machine{Name: name})
	err := m.Kill(ctx)
	v := &volume{Machine: m.Machine, lab: l}
	return errors.Join(err, v.delete(ctx, name))
}

// Names lists the machines and trees that there are, of whatever lab on the same
// storage.
func (l *Lab) Names(ctx context.Context) (names []string, err error) {
	for m, err := range l.host.Machines(ctx) {
		if err != nil {
			return nil, err
		}
		names = append(names, m.Name())
	}
	for v, err := range l.store.Volumes(ctx) {
		if errors.Is(err, snapshot.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		names = append(names, v.Name())
	}
	return names, nil
}

// Netns makes a network namespace for [Options]. It lives until it is closed and
// nothing is in it any more.
func Netns() (path string, closeNetns func() error, err error) { return newNetns() }
