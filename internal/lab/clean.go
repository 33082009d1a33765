package lab

import (
	"context"
	"errors"
	"os"

	"github.com/prologin/rig/snapshot"
)

// Clean removes all that labs with these options have made: machines, network, trees
// with their snapshots, pool, mirror and records. It goes on after a failure and is
// complete when it returns nil.
func Clean(ctx context.Context, c Config, o Options) (err error) {
	o.Keep = true
	l, err := newLab(c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	for _, step := range []func(context.Context) error{l.lock, l.openHost, l.checkNames} {
		if err := step(ctx); err != nil {
			return &HostError{err}
		}
	}
	err = errors.Join(
		l.each(func(m *machine) error { return m.Kill(ctx) }),
		l.cleanNetwork(ctx),
		l.cleanStore(ctx),
		os.RemoveAll(l.StageDir()),
		os.RemoveAll(l.ownCache()), // one that -cache names may hold others' things
	)
	if err == nil {
		l.say("clean: nothing of the lab is left on this host")
	}
	return err
}

func (l *Lab) cleanNetwork(ctx context.Context) error {
	if err := l.openNet(); err != nil {
		return err
	}
	return l.net.Remove(ctx, l.Bridge())
}

// cleanStore deletes the pool with all that is in it, or the volumes of a store
// that may hold others.
func (l *Lab) cleanStore(ctx context.Context) error {
	if l.StoreDir() == l.poolDir() {
		pool, err := snapshot.OpenPool(ctx, l.poolFile(), l.poolDir())
		if errors.Is(err, snapshot.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return pool.Destroy(ctx)
	}
	store, err := snapshot.Open(ctx, l.StoreDir(), snapshot.Options{Existing: true, Logger: l.Logger})
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range l.volumes() {
		v, err := store.Volume(name)
		if err == nil {
			err = v.Delete(ctx)
		}
		if !errors.Is(err, snapshot.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	for range store.Volumes(ctx) { // somebody else's, or one that would not go
		return errors.Join(append(errs, store.Close())...)
	}
	return errors.Join(append(errs, store.Destroy(ctx))...)
}

// volumes are the names of all volumes that a lab may have made.
func (l *Lab) volumes() []string {
	names := []string{baseVolume}
	for _, m := range l.Machines {
		names = append(names, m.Name, m.Name+beforeSuffix)
	}
	return names
}
