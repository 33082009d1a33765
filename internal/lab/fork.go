package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/prologin/rig/stage"
)

// Fork is a copy of a lab in a network namespace of its own: same addresses and host
// names inside, other machines and trees on the host.
type Fork struct {
	*Lab
	suffix string
}

// Fork makes the surroundings of a copy: a network like the lab's in a namespace of
// its own. Number tells it from other copies. Closing it removes everything of it.
func (l *Lab) Fork(ctx context.Context, number int) (_ *Fork, err error) {
	netns, closeNetns, err := newNetns()
	if err != nil {
		return nil, err
	}
	f := &Fork{suffix: fmt.Sprintf(".fork%d", number)}
	f.Lab = &Lab{Config: l.Config, Options: l.Options, store: l.store, source: l.source, password: l.password, mirror: l.mirror, up: map[string]chan struct{}{}}
	f.Out, f.Keep, f.Netns, f.Network = nil, false, netns, "bridge"
	f.State = filepath.Join(l.State, "forks", fmt.Sprint(number))
	f.Store = l.StoreDir()
	f.Machines = slices.Clone(l.Machines)
	for i := range f.Machines {
		f.rename(l, &f.Machines[i])
	}
	f.onClose(func(context.Context) error { return closeNetns() })
	f.onClose(f.remove)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(ctx))
		}
	}()
	for _, step := range []func(context.Context) error{f.remove, f.openHost, f.openNetwork} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// rename gives a machine the name of the copy; to itself it looks the same.
func (f *Fork) rename(l *Lab, m *Machine) {
	if m.Config.Hostname == "" {
		m.Config.Hostname = m.Name
	}
	m.Config.Network.MAC = l.Config.config(m, "/", false).Network.MAC
	m.Name += f.suffix
	if m.After != "" {
		m.After += f.suffix
	}
	if m.Boots != nil {
		m.Boots = &Tree{Machine: m.Boots.Machine + f.suffix, Path: m.Boots.Path}
	}
}

// Targets returns what the setups of the copied plan are carried out on.
func (f *Fork) Targets(targets map[string]stage.Target) map[string]stage.Target {
	copies := map[string]stage.Target{}
	for name, t := range targets {
		m := f.Config.machine(name + f.suffix)
		copies[name] = stage.Target{Machine: f.machine(m), Volume: &volume{Machine: m, lab: f.Lab, base: t.Volume.(*volume).base}}
	}
	return copies
}

// CloneFrom makes the volume a copy of a snapshot of another one.
func (v *volume) CloneFrom(ctx context.Context, source stage.Volume, name string) error {
	other, ok := source.(*volume)
	if !ok {
		return fmt.Errorf("clone from a %T: %w", source, stage.ErrNotSupported)
	}
	original, err := v.lab.store.Volume(other.Name)
	if err != nil {
		return err
	}
	from, err := original.Find(ctx, name)
	if err != nil {
		return err
	}
	if err := v.delete(ctx, v.Name); err != nil {
		return err
	}
	return v.clone(ctx, from)
}

// remove deletes the trees and records of the copy.
func (f *Fork) remove(ctx context.Context) error {
	var errs []error
	for _, m := range f.Machines {
		errs = append(errs, deleteVolume(ctx, f.store, m.Name))
	}
	errs = append(errs, os.RemoveAll(f.State))
	_ = os.Remove(filepath.Dir(f.State)) // unless it has those of others
	return errors.Join(errs...)
}
