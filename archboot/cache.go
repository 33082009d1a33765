package archboot

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

// A Cache keeps finished roots to clone from, one for each [Config.Key] and state
// of the mirror. Several processes may use the same one, and its methods may be
// called concurrently. It removes none, since somebody may be cloning it: bases of earlier
// states of the mirror are the caller's to remove.
type Cache struct {
	// Dir holds the roots, as directories base-KEY-STATE, and their locks. It is
	// made if it is missing, and then for root alone: what is setuid in a root is not
	// for other users of the host to run.
	Dir string
	// Make makes the directory that a base is built in, and Remove removes it
	// with all that is in it; by default plain directories. A file system that
	// clones whole subvolumes wants them to be such. Renaming must work.
	Make   func(path string) error
	Remove func(path string) error
}

// Base returns the path of a finished root for the Config, which the caller must
// not change. The first to ask builds it; others, in this process or another,
// wait until it is there, or the context ends. The Config must not have a password
// and should not have a host name: both are each clone's own, see [Identify].
//
// A base is built under another name and renamed when it is complete: a killed
// process leaves nothing that is ever used, and the next one removes what it left.
//
// The state of the mirror is that of its databases, whose signatures are fetched
// each time; where no server answers, the newest base of the Config is used, with
// an [EventWarning]. Errors are those of Bootstrap.
func (c Cache) Base(ctx context.Context, config Config) (root string, err error) {
	root, err = c.base(ctx, config)
	return root, wrap("cache", c.Dir, err)
}

func (c Cache) base(ctx context.Context, config Config) (string, error) {
	if config.Password != nil || config.PasswordHash != "" {
		return "", fmt.Errorf("%w: a base has no password: give it to each clone", ErrInvalid)
	}
	if err := config.Validate(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return "", err
	}
	name, err := c.name(ctx, config)
	if err != nil {
		return "", err
	}
	root := filepath.Join(c.Dir, name)
	if complete(root) {
		return root, nil
	}
	lock, err := lockFile(ctx, filepath.Join(c.Dir, "."+name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock(lock)
	if complete(root) { // somebody else built it while we waited
		return root, nil
	}
	return root, c.build(ctx, root, config)
}

// name is that of the base for the mirror as it is now, or the newest one where
// no mirror answers.
func (c Cache) name(ctx context.Context, config Config) (string, error) {
	prefix := "base-" + config.Key()[:24]
	state, err := mirrorState(ctx, config)
	if err == nil {
		return prefix + "-" + state, nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	old, _ := fs.Glob(os.DirFS(c.Dir), prefix+"-*")
	var newest fs.FileInfo
	for _, name := range old {
		dir := filepath.Join(c.Dir, name)
		info, statErr := os.Stat(dir)
		if statErr == nil && complete(dir) && (newest == nil || info.ModTime().After(newest.ModTime())) {
			newest = info
		}
	}
	if newest == nil {
		return "", err
	}
	b := &builder{config: config}
	b.emit(Event{Kind: EventWarning, Text: fmt.Sprintf("no mirror answers (%v): using the base of %s", err, newest.ModTime().Format(time.DateTime))})
	return newest.Name(), nil
}

// complete says that there is a base, and that it was finished.
func complete(root string) bool {
	_, err := os.Lstat(filepath.Join(root, markerName))
	return errors.Is(err, fs.ErrNotExist) && exists(root)
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// build makes the base. The caller holds the lock.
func (c Cache) build(ctx context.Context, root string, config Config) error {
	makeDir, remove := c.Make, c.Remove
	if makeDir == nil {
		makeDir = func(path string) error { return os.Mkdir(path, 0o755) }
	}
	if remove == nil {
		remove = os.RemoveAll
	}
	unfinished := filepath.Join(c.Dir, "."+filepath.Base(root)+".new")
	if exists(unfinished) {
		if err := remove(unfinished); err != nil {
			return fmt.Errorf("remove what a killed process left: %w", err)
		}
	}
	if err := makeDir(unfinished); err != nil {
		return err
	}
	err := Bootstrap(ctx, unfinished, config)
	if err == nil {
		err = syncTree(unfinished)
	}
	if err == nil {
		err = os.Rename(unfinished, root)
	}
	if err != nil {
		return errors.Join(err, remove(unfinished))
	}
	return nil
}

// syncTree makes the file system with the tree write everything, so that a base
// that is there after a power cut is there as a whole.
func syncTree(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd())))
}

// lockFile takes an exclusive lock and waits for it. flock(2) cannot be given up
// half-way, so a busy lock is tried again, ever less often, until the context ends.
func lockFile(ctx context.Context, name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 500*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another process to build the same base: %w", context.Cause(ctx))
		case <-time.After(wait):
		}
	}
}
