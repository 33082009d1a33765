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
// on the directory tells the mount of a living process from what a killed one left.
func (l layers) view(s stack) (dir string, release func() error, err error) {
	views := filepath.Join(filepath.Dir(string(l)), "views")
	if err := os.MkdirAll(views, 0o700); err != nil {
		return "", nil, err
	}
	dir = filepath.Join(views, newLayer())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	lock, err := os.Open(dir)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_SH)
	}
	if err == nil {
		err = l.mount(s, dir)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	return dir, func() error {
		err := unix.Unmount(dir, unix.MNT_DETACH)
		return errors.Join(err, os.Remove(dir), lock.Close())
	}, nil
}

func (l layers) sweepViews(ctx context.Context) error {
	views := filepath.Join(filepath.Dir(string(l)), "views")
	left, err := os.ReadDir(views)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
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
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return &os.PathError{Op: "unmount", Path: dir, Err: err}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
