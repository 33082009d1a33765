package testroot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// CacheDir is where everything that tests build once is kept: $RIG_CACHE if that
// is an absolute path, else /var/cache/rig. It may not exist yet.
func CacheDir() string {
	if dir := os.Getenv("RIG_CACHE"); filepath.IsAbs(dir) {
		return filepath.Clean(dir)
	}
	return "/var/cache/rig"
}

// Once returns dir/name, which build makes at the first call, whichever process
// that comes from. build is given a path next to it that does not exist; what it
// leaves there is renamed to dir/name if it returns nil and removed otherwise.
// Callers that come while another process builds wait for it, or until ctx ends.
//
// A name that exists is returned without taking the lock, so a cache may be used
// from a read-only mount.
func Once(ctx context.Context, dir, name string, build func(ctx context.Context, path string) error) (string, error) {
	final := filepath.Join(dir, name)
	if _, err := os.Lstat(final); err == nil {
		return final, nil
	}
	unlock, err := Lock(ctx, filepath.Join(dir, name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Lstat(final); err == nil {
		return final, nil
	}
	tmp := filepath.Join(dir, "."+name+".partial")
	if err := os.RemoveAll(tmp); err != nil { // of a build that was killed
		return "", fmt.Errorf("sweep a broken-off build: %w", err)
	}
	if err := build(ctx, tmp); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	return final, os.Rename(tmp, final)
}

// Lock takes the exclusive flock of the file path, made if need be, and waits for
// it until ctx ends. The kernel drops it when the process ends, however it ends.
// Whoever holds the lock may remove the file.
//
// There is no event for a lock that becomes free and a blocked flock(2) cannot
// be broken off by a context, hence the ticker.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		f, err := tryLock(path)
		if err != nil {
			return nil, err
		}
		if f != nil {
			return func() {
				unix.Flock(int(f.Fd()), unix.LOCK_UN) // a child between fork and exec has f, too
				f.Close()
			}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the process that holds %s: %w", path, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// tryLock returns nil and no error if another process holds the lock, or has
// just removed the file.
func tryLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrNotExist) { // the directory went just now
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && isAt(f, path) {
		return f, nil
	}
	f.Close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
}

// isAt tells whether f is what path names now.
func isAt(f *os.File, path string) bool {
	ours, err := f.Stat()
	named, err2 := os.Stat(path)
	return err == nil && err2 == nil && os.SameFile(ours, named)
}
