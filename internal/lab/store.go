package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/snapshot"
)

// machinesDir is where systemd keeps machines.
const machinesDir = "/var/lib/machines"

// poolSize is what a pool may grow to. The file is sparse: a lab of one machine
// takes less than 1 GiB of it.
const poolSize = 16 << 30

// StoreDir is where the machines' trees are, or will be.
func (o *Options) StoreDir() string {
	switch {
	case o.Store != "":
		return o.Store
	case isBtrfs(machinesDir):
		return machinesDir
	}
	return o.poolDir()
}

func (l *Lab) openStore(ctx context.Context) (err error) {
	dir := l.StoreDir()
	if dir == l.poolDir() {
		l.say("storage:  a btrfs pool in %s, since %s is none; -store DIR chooses another", l.poolFile(), machinesDir)
		err = l.openPool(ctx)
	} else {
		l.say("storage:  %s; -store DIR chooses another", dir)
	}
	if err != nil {
		return err
	}
	options := snapshot.Options{Logger: l.Logger}
	if l.Driver != "" {
		options.Driver = drivers[l.Driver]()
	}
	l.store, err = snapshot.Open(ctx, dir, options)
	if err != nil {
		return err
	}
	l.onClose(func(context.Context) error { return l.store.Close() })
	// As systemd keeps /var/lib/machines: a machine's root can make a program setuid, which is
	// not for other users of the host to run.
	if filepath.Dir(dir) == l.State {
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
	}
	if l.store.Driver().Name() != "btrfs" {
		l.say("          by %s: %s", l.store.Driver().Name(), l.store.Reason())
	}
	return nil
}

func (o *Options) poolFile() string { return filepath.Join(o.State, "pool.btrfs") }
func (o *Options) poolDir() string  { return filepath.Join(o.State, "machines") }

func (l *Lab) openPool(ctx context.Context) error {
	pool, err := snapshot.OpenPool(ctx, l.poolFile(), l.poolDir())
	if errors.Is(err, snapshot.ErrNotFound) {
		pool, err = snapshot.CreatePool(ctx, l.poolFile(), poolSize, l.poolDir())
	}
	if errors.Is(err, snapshot.ErrNotSupported) {
		return fmt.Errorf("%w; with -store DIR there is no pool", err)
	}
	if err != nil {
		return err
	}
	l.onClose(func(context.Context) error {
		if l.Keep {
			return nil
		}
		return errors.Join(unmountBelow(l.poolDir()), pool.Close())
	})
	return nil
}

// unmountBelow unmounts the trees that a store by overlay leaves mounted, for machines
// that go on. The next one to open the store mounts them again.
func unmountBelow(dir string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	errs := []error{err}
	for _, m := range mounts {
		if m.Mountpoint != dir {
			errs = append(errs, unix.Unmount(m.Mountpoint, unix.UMOUNT_NOFOLLOW))
		}
	}
	return errors.Join(errs...)
}

func isBtrfs(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.BTRFS_SUPER_MAGIC
}

// Instant reports whether snapshots cost nothing to speak of.
func (l *Lab) Instant() bool { return l.store.Driver().Capabilities().Instant }

// FileHandles reports whether the machines' trees have file handles, which NFS knows files
// by. An overlay has none. The base must be there, as it is after [Lab.Targets].
func (l *Lab) FileHandles() bool {
	_, _, err := unix.NameToHandleAt(unix.AT_FDCWD, filepath.Join(l.StoreDir(), baseVolume), 0)
	return !errors.Is(err, unix.EOPNOTSUPP)
}

// withStore calls f with the store, if there is one. A lab that is only looked at does not keep
// it open: it may be on a pool that comes and goes.
func (l *Lab) withStore(ctx context.Context, f func(*snapshot.Store) error) error {
	store, err := snapshot.Open(ctx, l.StoreDir(), snapshot.Options{Existing: true, Logger: l.Logger})
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f(store)
	if closeErr := store.Close(); !errors.Is(closeErr, os.ErrClosed) { // as it is after Destroy
		err = errors.Join(err, closeErr)
	}
	return err
}

// deleteVolume deletes a volume that may not exist.
func deleteVolume(ctx context.Context, store *snapshot.Store, name string) error {
	v, err := store.Volume(name)
	if err == nil {
		err = v.Delete(ctx)
	}
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil
	}
	return err
}
