package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prologin/rig/snapshot"
)

// Clean removes all that labs with these options have made: machines, network, trees
// with their snapshots, pool, mirror and records. It goes on after a failure and is
// complete when it returns nil. What is foreign stays.
func Clean(ctx context.Context, c Config, o Options) error {
	left, err := CleanAll(ctx, c, o, func(Item) bool { return false })
	if err == nil {
		err = Left(left)
	}
	return err
}

// Left is an error that names the items that are not foreign, if there are any.
func Left(items []Item) error {
	var errs []error
	for _, item := range items {
		if !item.Foreign {
			errs = append(errs, fmt.Errorf("still there: %v", item))
		}
	}
	return errors.Join(errs...)
}

// CleanAll is Clean for what is foreign as well, if foreign says so, which is asked
// before anything is removed. It returns what is found by looking again in the end: nothing,
// unless something foreign is left.
func CleanAll(ctx context.Context, c Config, o Options, foreign func(Item) bool) (left []Item, err error) {
	err = withRecords(ctx, c, o, func(l *Lab) error {
		if err := l.removeForeign(ctx, foreign); err != nil {
			return err
		}
		if err := l.try(ctx, l.openHost, l.checkNames); err != nil {
			return err
		}
		if err := l.clean(ctx); err != nil {
			return err
		}
		if left, err = l.survey(ctx); err == nil && Left(left) == nil {
			l.say("clean: nothing of the lab is left on this host")
		}
		return err
	})
	return left, err
}

func (l *Lab) removeForeign(ctx context.Context, foreign func(Item) bool) error {
	items, err := l.survey(ctx)
	if err != nil {
		return &HostError{err}
	}
	var errs []error
	for _, item := range items {
		if item.Foreign && foreign(item) {
			errs = append(errs, item.remove(ctx))
		}
	}
	return errors.Join(errs...)
}

func (l *Lab) clean(ctx context.Context) error {
	err := l.each(func(m *machine) error { return m.Kill(ctx) })
	mounts, mountErr := l.surveyMounts(ctx)
	errs := []error{err, mountErr}
	for _, m := range mounts {
		errs = append(errs, m.remove(ctx))
	}
	errs = append(errs,
		l.cleanNetwork(ctx),
		l.cleanStore(ctx),
		os.RemoveAll(l.StageDir()),
		os.RemoveAll(filepath.Join(l.State, "forks")),
		os.RemoveAll(l.ownCache()), // one that -cache names may hold others' things
	)
	for _, name := range l.Records {
		errs = append(errs, os.RemoveAll(filepath.Join(l.State, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.RemoveAll(l.knownFile())
}

func (l *Lab) cleanNetwork(ctx context.Context) error {
	if l.net == nil {
		if err := l.openNet(); err != nil {
			return err
		}
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
		return errors.Join(unmountBelow(l.poolDir()), pool.Destroy(ctx))
	}
	return l.withStore(ctx, func(store *snapshot.Store) error {
		var errs []error
		for _, name := range l.volumes() {
			errs = append(errs, deleteVolume(ctx, store, name))
		}
		for range store.Volumes(ctx) { // somebody else's, or one that would not go
			return errors.Join(errs...)
		}
		return errors.Join(append(errs, store.Destroy(ctx))...)
	})
}

// volumes are the names of all volumes that a lab may have made.
func (l *Lab) volumes() []string {
	names := []string{baseVolume}
	for _, m := range l.Machines {
		names = append(names, m.Name, m.Name+beforeSuffix)
	}
	return names
}
