package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/snapshot"
)

// baseVolume is the root that every machine is cloned from.
const baseVolume = "arch_linux_base"

// baseSnapshot is the name of its snapshot.
const baseSnapshot = "base"

// base returns the root that machines start as, and makes it first if there is none
// of this configuration.
func (l *Lab) base(ctx context.Context) (snapshot.Snapshot, error) {
	key, err := l.baseKey(ctx)
	if err != nil {
		return snapshot.Snapshot{}, err
	}
	volume, err := l.store.Volume(baseVolume)
	if err == nil {
		if found, err := volume.FindKey(ctx, key); !errors.Is(err, snapshot.ErrNotFound) {
			return found, err
		}
		err = volume.Delete(ctx) // of another configuration, or half made
	}
	if err != nil && !errors.Is(err, snapshot.ErrNotFound) {
		return snapshot.Snapshot{}, err
	}
	if volume, err = l.store.Create(ctx, baseVolume); err != nil {
		return snapshot.Snapshot{}, err
	}
	if err := l.fill(ctx, volume.Path()); err != nil {
		return snapshot.Snapshot{}, err
	}
	return volume.Snapshot(ctx, baseSnapshot, snapshot.Metadata{Key: key})
}

// fill makes the base in an empty directory.
func (l *Lab) fill(ctx context.Context, dir string) error {
	bar := newProgress(l.out(), "base")
	defer bar.done()
	if l.Options.Base != "" {
		bar.show("copying " + l.Options.Base)
		return copyRoot(ctx, dir, l.Options.Base)
	}
	config := l.source
	config.Progress = func(e archboot.Event) { bar.show(e.String()) }
	return archboot.Bootstrap(ctx, dir, config)
}

// baseKey is the key of what the base will hold.
func (l *Lab) baseKey(ctx context.Context) (string, error) {
	if l.Options.Base == "" {
		return l.source.Key(), nil
	}
	manifest, err := archboot.ReadManifest(ctx, l.Options.Base)
	if err != nil {
		return "", fmt.Errorf("base: %w", err)
	}
	h := sha256.New()
	for _, entry := range manifest.Files {
		io.WriteString(h, entry.String()+"\n")
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// copyRoot fills an empty directory with a copy of a root, with whatever the kernel
// keeps for a file.
func copyRoot(ctx context.Context, dir, from string) error {
	half := filepath.Join(dir, ".rig-copy")
	if err := snapshot.Copy().Thaw(ctx, half, from); err != nil {
		return err
	}
	entries, err := os.ReadDir(half)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(half, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(half)
}

// identity is what the clone of a machine is to have of its own.
func (l *Lab) identity(m *Machine) archboot.Identity {
	hostname := m.Config.Hostname
	if hostname == "" {
		hostname = m.Name
	}
	id := archboot.Identity{Hostname: hostname, MachineID: archboot.DeriveMachineID(l.Zone, m.Name)}
	if l.PasswordFile != "" {
		id.Password = bytes.NewReader(l.password)
	}
	return id
}

// mostPassword is more than any password has; a file without an end is not read to it.
const mostPassword = 4096

// readPassword reads the password once, for all machines: it may come by a pipe.
func (l *Lab) readPassword(context.Context) error {
	if l.PasswordFile == "" {
		return nil
	}
	file, err := os.Open(l.PasswordFile)
	if err != nil {
		return err
	}
	defer file.Close()
	l.password, err = io.ReadAll(io.LimitReader(file, mostPassword))
	if err == nil && len(bytes.TrimSpace(l.password)) == 0 {
		l.say("password: %s is empty: none is set, root cannot log in with one", l.PasswordFile)
	}
	return err
}
