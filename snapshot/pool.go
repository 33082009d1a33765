package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// MinPoolSize is the smallest pool in bytes: mkfs.btrfs refuses to make one much
// below it.
const MinPoolSize = 128 << 20

// A Pool is a btrfs in a sparse file, for hosts whose file system is none. It is
// mounted through a loop device that the kernel detaches with the last mount.
//
// Several processes may have the same pool open: the last to close it unmounts it.
// A process that is killed leaves it mounted, for the next OpenPool to find.
type Pool struct {
	path  string
	dir   string
	image *os.File // holds this process's share of the usage lock
}

// CreatePool makes a pool of size bytes in the file path, which takes space only as
// it is written, and mounts it on the directory mountpoint, which is made if missing.
// It needs root and the program mkfs.btrfs.
//
// It fails with ErrExists when path exists, ErrMissingProgram when mkfs.btrfs is missing,
// ErrInvalid when size is below MinPoolSize, and ErrBusy when something else is
// mounted on mountpoint.
func CreatePool(ctx context.Context, path string, size int64, mountpoint string) (*Pool, error) {
	p, err := createPool(ctx, path, size, mountpoint)
	return p, wrap(Error{Op: "create pool", Path: path}, err)
}

func createPool(ctx context.Context, path string, size int64, mountpoint string) (*Pool, error) {
	if size < MinPoolSize {
		return nil, fmt.Errorf("pool of %d bytes, at least %d are needed: %w", size, int64(MinPoolSize), ErrInvalid)
	}
	if err := needsRoot(); err != nil {
		return nil, err
	}
	mkfs, err := findMkfs("mkfs.btrfs", "/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs")
	if err != nil {
		return nil, err
	}
	if taken, err := present(path); err != nil {
		return nil, err
	} else if taken {
		return nil, fmt.Errorf("file %w", ErrExists)
	}
	if err := makeImage(ctx, mkfs, path, size); err != nil {
		return nil, err
	}
	p, err := openPool(ctx, path, mountpoint)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return p, nil
}

// OpenPool mounts the pool in the file path on the directory mountpoint, or joins
// those who have it mounted there already. It needs root.
//
// It fails with ErrNotFound when there is no such file, and with ErrBusy when the pool
// is mounted elsewhere or something else is mounted on mountpoint.
func OpenPool(ctx context.Context, path, mountpoint string) (*Pool, error) {
	p, err := openPool(ctx, path, mountpoint)
	return p, wrap(Error{Op: "open pool", Path: path}, err)
}

func openPool(ctx context.Context, path, mountpoint string) (_ *Pool, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	p := &Pool{path: path, image: image}
	if err := p.open(ctx, mountpoint); err != nil {
		return nil, errors.Join(err, p.leave())
	}
	return p, nil
}

// leave gives up the share of the pool. Closing the file alone would not do that while
// a child between fork and exec has it as well.
func (p *Pool) leave() error {
	return errors.Join(lockRange(p.image, usageByte, unix.F_UNLCK), p.image.Close())
}

func (p *Pool) open(ctx context.Context, mountpoint string) (err error) {
	return p.exclusively(ctx, func() error {
		if same, err := named(p.image, p.path); err != nil {
			return err
		} else if !same {
			return fmt.Errorf("pool is destroyed: %w", ErrNotFound)
		}
		if err := lockRange(p.image, usageByte, unix.F_RDLCK); err != nil {
			return err
		}
		if err := os.MkdirAll(mountpoint, 0o755); err != nil {
			return err
		}
		if p.dir, err = realDir(mountpoint); err != nil {
			return err
		}
		device, err := findLoop(p.image)
		if err != nil {
			return err
		}
		if mounted, err := p.mounted(device); mounted || err != nil {
			return err
		}
		return step(ctx, "mount pool", func() error { return p.mount(device) })
	})
}

// exclusively calls f while no other process opens or closes the pool.
func (p *Pool) exclusively(ctx context.Context, f func() error) error {
	err := retry(ctx, func() error { return lockRange(p.image, mutexByte, unix.F_WRLCK) })
	if err != nil {
		return err
	}
	return errors.Join(f(), lockRange(p.image, mutexByte, unix.F_UNLCK))
}

// mounted reports whether the pool is mounted where it is wanted. It fails if the
// pool is mounted elsewhere, or something else here.
func (p *Pool) mounted(device string) (bool, error) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return false, err
	}
	var here *mountinfo.Info
	elsewhere := ""
	for _, m := range mounts {
		pool := device != "" && m.Source == device && m.FSType == "btrfs" && m.Root == "/"
		switch {
		case m.Mountpoint == p.dir && pool:
			return true, nil
		case m.Mountpoint == p.dir:
			here = m
		case pool:
			elsewhere = m.Mountpoint
		}
	}
	switch {
	case elsewhere != "":
		return false, fmt.Errorf("the pool is mounted on %s: %w", elsewhere, ErrBusy)
	case here != nil:
		return false, fmt.Errorf("%s has %s mounted on it: %w", p.dir, here.Source, ErrBusy)
	}
	return false, nil
}

// mount attaches a loop device, unless the pool has one in another mount namespace,
// and mounts it. The device is held open only until then: from there on it lives as
// long as the mount.
func (p *Pool) mount(device string) (err error) {
	var loop *os.File
	if device == "" {
		loop, err = attachLoop(p.image)
	} else {
		loop, err = os.Open(device)
	}
	if err != nil {
		return err
	}
	defer loop.Close()
	// The discards give the space of deleted files back to the file below.
	err = unix.Mount(loop.Name(), p.dir, "btrfs", unix.MS_NOATIME, "discard=async")
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("this kernel has no btrfs: %w", ErrNotSupported)
	}
	if err != nil {
		return &os.PathError{Op: "mount", Path: p.dir, Err: err}
	}
	return nil
}

// Path is the pool's file.
func (p *Pool) Path() string { return p.path }

// Dir is the directory on which the pool is mounted, for [Open].
func (p *Pool) Dir() string { return p.dir }

// Close gives up this process's share of the pool, and unmounts it if it was the
// last. It fails with ErrBusy, and the pool stays open, when it was the last and
// something still uses the mount, an open Store for instance.
func (p *Pool) Close() error {
	_, err := p.close(func() error { return nil })
	return wrap(Error{Op: "close pool", Path: p.path}, err)
}

// close reports whether p was the last, and calls then, before anybody can open the pool
// again.
func (p *Pool) close(then func() error) (last bool, err error) {
	var thenErr error
	err = p.exclusively(context.Background(), func() error {
		err := lockRange(p.image, usageByte, unix.F_WRLCK)
		if errors.Is(err, errTaken) {
			return nil // others use it
		}
		if err == nil {
			err = p.unmount()
		}
		if err != nil {
			return errors.Join(err, lockRange(p.image, usageByte, unix.F_RDLCK))
		}
		last, thenErr = true, then()
		return nil
	})
	if err != nil {
		return false, err
	}
	return last, errors.Join(thenErr, p.leave())
}

// busyTime is how long unmounting is tried: a child that this process starts holds
// all that it has open from fork to exec.
const busyTime = time.Second

func (p *Pool) unmount() error {
	ctx, cancel := context.WithTimeout(context.Background(), busyTime)
	defer cancel()
	return retry(ctx, func() error {
		err := unix.Unmount(p.dir, unix.UMOUNT_NOFOLLOW)
		switch {
		case err == nil, errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // somebody else has
			return nil
		case errors.Is(err, unix.EBUSY):
			return hint(fmt.Errorf("%s: %w", p.dir, errTaken), "fuser -vm %s names who uses it", p.dir)
		}
		return &os.PathError{Op: "unmount", Path: p.dir, Err: err}
	})
}

// Destroy closes the pool and removes its file, with everything in it, and its
// mount point. It fails with ErrBusy when another process has the pool open. It also
// fails so, having removed the file, when another mount namespace still has a copy of
// the mount: the loop device goes with that.
func (p *Pool) Destroy(ctx context.Context) error {
	return wrap(Error{Op: "destroy pool", Path: p.path}, p.destroy(ctx))
}

func (p *Pool) destroy(ctx context.Context) error {
	image, err := os.Open(p.path) // to know it by when it has no name any more
	if err != nil {
		return err
	}
	defer image.Close()
	last, err := p.close(func() error {
		return step(ctx, "remove pool", func() error { return os.Remove(p.path) })
	})
	if err != nil {
		return err
	}
	if !last {
		return errTaken
	}
	err = os.Remove(p.dir)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, awaitDetached(ctx, image))
}

// Grow makes the pool size bytes large, while it is in use. A pool cannot shrink:
// a smaller size fails with ErrInvalid.
func (p *Pool) Grow(ctx context.Context, size int64) error {
	return wrap(Error{Op: "grow pool", Path: p.path}, p.grow(ctx, size))
}

func (p *Pool) grow(ctx context.Context, size int64) error {
	info, err := p.image.Stat()
	if err != nil {
		return err
	}
	if size < info.Size() {
		return fmt.Errorf("pool has %d bytes, %d asked for: %w", info.Size(), size, ErrInvalid)
	}
	device, err := findLoop(p.image)
	if err != nil {
		return err
	}
	return step(ctx, "grow pool", func() error {
		if err := p.image.Truncate(size); err != nil {
			return err
		}
		if err := growLoop(device); err != nil {
			return err
		}
		return resizeToDevice(p.dir)
	})
}
