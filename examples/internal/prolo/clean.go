package prolo

import (
	"context"
	"errors"
	"os"

	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// Clean removes all that runs with the same flags have made: machines, network,
// trees with their snapshots, pool, mirror and records. It goes on after a
// failure and is complete when it returns nil.
func Clean(ctx context.Context, f *Flags, setup stage.Setup, out *os.File) (err error) {
	l := &Lab{Flags: f, setup: setup, out: out, log: logger(f, out)}
	if os.Geteuid() != 0 {
		return &hostError{errNotRoot}
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	for _, step := range []func(context.Context) error{l.lock, l.openHost} {
		if err := step(ctx); err != nil {
			return &hostError{err}
		}
	}
	err = errors.Join(
		l.machine(setup.Machine).Kill(ctx),
		l.cleanNetwork(ctx),
		l.cleanStore(ctx, setup.Machine, baseVolume),
		os.RemoveAll(l.stageDir()),
		os.RemoveAll(f.ownCache()), // one that -cache names may hold others' things
	)
	if err == nil {
		l.say("clean: nothing of the lab is left on this host")
	}
	return err
}

func (l *Lab) cleanNetwork(ctx context.Context) error {
	host, err := netsetup.Open(netsetup.Options{Logger: l.log})
	if err != nil {
		return err
	}
	defer host.Close()
	return host.Remove(ctx, Bridge)
}

// cleanStore deletes the pool with all that is in it, or the volumes of a store
// that may hold others.
func (l *Lab) cleanStore(ctx context.Context, volumes ...string) error {
	if l.storeDir() == l.poolDir() {
		pool, err := snapshot.OpenPool(ctx, l.poolFile(), l.poolDir())
		if errors.Is(err, snapshot.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return pool.Destroy(ctx)
	}
	store, err := snapshot.Open(ctx, l.storeDir(), snapshot.Options{Existing: true, Logger: l.log})
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range volumes {
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
