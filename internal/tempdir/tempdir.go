// Package tempdir makes temporary directories that are found when whoever made them
// was killed.
package tempdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dir is a directory that is locked until its owner removes it or dies.
type Dir struct {
	Path  string
	owner *os.File
}

// hiddenPrefix is before the name of a directory that is not locked yet.
const hiddenPrefix = "new-"

// Make makes a directory below [os.TempDir], for this user alone, with a name that
// begins with the prefix.
func Make(prefix string) (*Dir, error) {
	hidden, err := os.MkdirTemp("", hiddenPrefix+prefix)
	if err != nil {
		return nil, err
	}
	owner, err := lock(hidden)
	if err != nil {
		return nil, errors.Join(err, os.Remove(hidden))
	}
	path := filepath.Join(filepath.Dir(hidden), strings.TrimPrefix(filepath.Base(hidden), hiddenPrefix))
	if err := os.Rename(hidden, path); err != nil {
		return nil, errors.Join(err, unlock(owner), os.Remove(hidden))
	}
	return &Dir{path, owner}, nil
}

// Remove removes the directory with all that is in it.
func (d *Dir) Remove() error { return errors.Join(os.RemoveAll(d.Path), unlock(d.owner)) }

// Sweep calls discard, such as [os.RemoveAll], with each directory of that prefix
// whose owner is dead. Those of other users are left alone.
func Sweep(prefix string, discard func(path string) error) error {
	entries, err := os.ReadDir(os.TempDir())
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		path := filepath.Join(os.TempDir(), entry.Name())
		owner, lockErr := lock(path)
		if lockErr != nil {
			continue // the owner lives, another sweeps it, or it is none
		}
		err = errors.Join(err, discard(path), unlock(owner))
	}
	return err
}

// lock takes the lock on a directory of this user's, or fails at once.
func lock(dir string) (*os.File, error) {
	file, err := os.OpenFile(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		err = &fs.PathError{Op: "lock", Path: dir, Err: fs.ErrPermission}
	}
	if err == nil {
		if err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return file, nil
		}
		err = fmt.Errorf("lock %s: %w", dir, err)
	}
	return nil, errors.Join(err, file.Close())
}

// unlock gives the lock back. To close the file is not enough while a child between
// fork and exec has it as well.
func unlock(file *os.File) error {
	return errors.Join(unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close())
}
