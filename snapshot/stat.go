package snapshot

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// statIn describes what a name stands for, unless it has gone.
func statIn(dir *os.File, name string, listed bool) (st unix.Stat_t, there bool, err error) {
	if !listed {
		return st, false, nil
	}
	err = unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return st, false, nil
	}
	if err != nil {
		return st, false, &os.PathError{Op: "stat", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return st, true, nil
}

// vanished reports whether an error says that what a name of a tree in use stood for has
// gone since it was looked at, or has made room for something else.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO)
}

func ignoreVanished(err error) error {
	if vanished(err) {
		return nil
	}
	return err
}

func isDir(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// linked reports whether a file has several names.
func linked(st *unix.Stat_t) bool { return !isDir(st) && st.Nlink > 1 }

// allocated returns how much of the disk a file takes, in bytes. Its blocks are of 512
// bytes, whatever the file system's, stat(2).
func allocated(st *unix.Stat_t) int64 { return st.Blocks * 512 }
