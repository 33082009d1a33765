package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// view mounts a frozen stack in a directory of its own until release is called. A lock
// on the directory tells the mount of a living process from what a killed one left, and
// one on the directory above keeps it from being swept before it has that.
func (l layers) view(s stack) (dir string, release func() error, err error) {
	views := filepath.Join(filepath.Dir(string(l)), "views")
	if err := os.MkdirAll(views, 0o700); err != nil {
		return "", nil, err
	}
	making, err := flockDir(views, unix.LOCK_SH)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, making()) }()
	dir = filepath.Join(views, newLayer())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	unlock, err := flockDir(dir, unix.LOCK_SH)
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	if err := l.mount(s, dir); err != nil {
		return "", nil, errors.Join(err, os.Remove(dir), unlock())
	}
	return dir, func() error {
		err := unix.Unmount(dir, unix.MNT_DETACH)
		return errors.Join(err, os.Remove(dir), unlock())
	}, nil
}

// flockDir locks a directory until unlock is called.
func flockDir(dir string, how int) (unlock func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(&os.PathError{Op: "flock", Path: dir, Err: err}, f.Close())
	}
	return func() error { return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close()) }, nil
}

// sweepViews removes the views of dead processes. While somebody makes one, which then
// is not locked yet, it leaves that to the next sweep.
func (l layers) sweepViews(ctx context.Context) (err error) {
	views := filepath.Join(filepath.Dir(string(l)), "views")
	unlock, err := flockDir(views, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	left, err := os.ReadDir(views)
	for _, e := range left {
		dir := filepath.Join(views, e.Name())
		if err := detachDead(ctx, dir); err != nil {
			return err
		}
	}
	return err
}

// detachDead removes a view unless its process lives. The mount hides the directory
// that is locked: it is looked at below the mount.
func detachDead(ctx context.Context, dir string) error {
	parent, err := unix.OpenTree(unix.AT_FDCWD, filepath.Dir(dir), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return &os.PathError{Op: "open tree", Path: dir, Err: err}
	}
	defer unix.Close(parent)
	fd, err := unix.Openat(parent, filepath.Base(dir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil // somebody reads it
	}
	err = step(ctx, "unmount view", func() error { return unix.Unmount(dir, unix.MNT_DETACH) })
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // released meanwhile
		return &os.PathError{Op: "unmount", Path: dir, Err: err}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
