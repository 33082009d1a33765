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

// CacheDir is where everything that tests build once is kept: $RIG_CACHE, or
// /var/cache/rig. It may not exist yet.
func CacheDir() string {
	if dir := os.Getenv("RIG_CACHE"); dir != "" {
		return dir
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
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
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
//
// There is no event for a lock that becomes free and a blocked flock(2) cannot
// be broken off by a context, hence the ticker.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for the process that holds %s: %w", path, context.Cause(ctx))
		case <-tick.C:
		}
	}
}
