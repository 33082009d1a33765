package prolo

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
)

// Clean removes all that runs with the same flags have made: machines, network,
// trees with their snapshots, pool, mirror and records. It goes on after a
// failure and is complete when it returns nil.
func Clean(ctx context.Context, f *Flags, out *os.File, machines ...string) error {
	l := &Lab{Flags: f, out: out, log: logger(f, out)}
	if os.Geteuid() != 0 {
		return &hostError{errors.New("must run as root: try it with sudo")}
	}
	err := errors.Join(
		l.cleanMachines(ctx, machines),
		l.cleanNetwork(ctx),
		l.cleanStore(ctx, append(machines, baseVolume)),
		os.RemoveAll(l.stageDir()),
		os.RemoveAll(l.runDir()),
		os.RemoveAll(l.Cache),
	)
	if removed := os.Remove(f.State); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	if err == nil {
		l.say("clean: nothing of the lab is left on this host")
	}
	return err
}

func (l *Lab) cleanMachines(ctx context.Context, names []string) error {
	host, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: l.runDir(), Logger: l.log})
	if err != nil {
		return err
	}
	defer host.Close()
	var errs []error
	for _, name := range names {
		m := &machine{host: host, config: nspawn.Config{Name: name}}
		errs = append(errs, m.Kill(ctx))
	}
	_, err = host.Sweep(ctx)
	return errors.Join(append(errs, err)...)
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
func (l *Lab) cleanStore(ctx context.Context, volumes []string) error {
	dir := l.Store
	if dir == "" {
		pool, err := snapshot.OpenPool(ctx, l.poolFile(), l.poolDir())
		if err == nil {
			return pool.Destroy(ctx)
		}
		if !errors.Is(err, snapshot.ErrNotFound) {
			return err
		}
		dir = machinesDir
	}
	store, err := snapshot.Open(ctx, dir, snapshot.Options{Existing: true, Logger: l.log})
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer store.Close()
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
	return errors.Join(errs...)
}
