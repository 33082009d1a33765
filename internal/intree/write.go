package intree

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// WriteFile replaces name by a regular file with exactly the mode perm, owned
// by the caller. It is atomic: a reader sees the old file or the new one, and
// an error leaves the old one. A symlink called name is replaced, not followed;
// a directory called name is an error.
func (t *Tree) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return t.WriteFileOwned(name, data, perm, -1, -1)
}

// WriteFileOwned is WriteFile for a file of another owner: -1 stands for the
// caller's own user or group. Nobody ever sees the file with another owner.
func (t *Tree) WriteFileOwned(name string, data []byte, perm fs.FileMode, uid, gid int) error {
	return t.replace("write", name, func(f *os.File) error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		if uid != -1 || gid != -1 {
			if err := f.Chown(uid, gid); err != nil {
				return err
			}
		}
		err := unix.Fchmod(int(f.Fd()), uint32(perm.Perm()))
		if err != nil || t.NoSync {
			return err
		}
		return f.Sync()
	})
}

// replace puts a new file, which fill has written, in the place of name.
func (t *Tree) replace(op, name string, fill func(*os.File) error) (err error) {
	dir, base, err := t.Parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	wrap := func(err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

	temp := ".#" + rand.Text()
	fd, err := unix.Openat(int(dir.Fd()), temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return wrap(err)
	}
	defer func() {
		if err != nil {
			unix.Unlinkat(int(dir.Fd()), temp, 0)
		}
	}()
	f := os.NewFile(uintptr(fd), name)
	if err = errors.Join(fill(f), f.Close()); err != nil {
		return wrap(err)
	}
	if err = unix.Renameat(int(dir.Fd()), temp, int(dir.Fd()), base); err != nil {
		return wrap(err)
	}
	return nil
}

// MkdirAll makes the directory name and its missing parents with exactly the mode
// perm, whatever the umask. Those that are there stay as they are. Symlinks on the way
// are followed inside the tree.
func (t *Tree) MkdirAll(name string, perm fs.FileMode) error {
	var done string
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if part == "" {
			continue
		}
		done += "/" + part
		if err := t.mkdir(done, perm); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) mkdir(name string, perm fs.FileMode) error {
	d, err := t.resolve("mkdir", name, unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		return d.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, base, err := t.Parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Mkdirat(int(dir.Fd()), base, uint32(perm.Perm()))
	if err == unix.EEXIST { // somebody was faster, or it is a symlink to nothing
		if d, gone := t.resolve("mkdir", name, unix.O_PATH|unix.O_DIRECTORY); gone == nil {
			return d.Close()
		}
	}
	if err == nil {
		err = unmask(dir, base, perm)
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

// unmask gives a directory that was made just now the bits that the umask took.
func unmask(dir *os.File, base string, perm fs.FileMode) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil || st.Mode&0o777 == uint32(perm.Perm()) {
		return err
	}
	fd, err := unix.Openat(int(dir.Fd()), base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	inherited := st.Mode & unix.S_ISGID // from the directory above
	return unix.Fchmod(fd, inherited|uint32(perm.Perm()))
}

// Symlink makes name a symlink that holds target as it is. Where a symlink of
// that target exists already nothing happens; anything else there is
// [fs.ErrExist].
func (t *Tree) Symlink(target, name string) error {
	dir, base, err := t.Parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Symlinkat(target, int(dir.Fd()), base)
	if err == unix.EEXIST {
		if old, readErr := t.Readlink(name); readErr == nil && old == target {
			return nil
		}
	}
	if err != nil {
		return &fs.PathError{Op: "symlink", Path: name, Err: err}
	}
	return nil
}

// Remove removes a file, a symlink or an empty directory, and is
// [fs.ErrNotExist] where there is none.
func (t *Tree) Remove(name string) error {
	dir, base, err := t.Parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = unix.Unlinkat(int(dir.Fd()), base, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(int(dir.Fd()), base, unix.AT_REMOVEDIR)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// RemoveAll removes name and all below it, following no symlink. A missing name
// is no error.
func (t *Tree) RemoveAll(name string) error {
	dir, base, err := t.Parent(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	root, err := os.OpenRoot(procPath(dir))
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(base)
}

// Chown changes the owner of name itself, also where it is a symlink.
func (t *Tree) Chown(name string, uid, gid int) error {
	f, err := t.resolve("chown", name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fchownat(int(f.Fd()), "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "chown", Path: name, Err: err}
	}
	return nil
}

// Parent opens the directory that holds name, for the caller's own *at calls,
// and returns the last component, which is neither resolved nor required to
// exist. The caller closes dir. A name that ends in ".", ".." or is the top
// itself is [fs.ErrInvalid].
func (t *Tree) Parent(name string) (dir *os.File, base string, err error) {
	trimmed := strings.TrimRight(name, "/")
	parent, base := "", trimmed
	if i := strings.LastIndexByte(trimmed, '/'); i >= 0 {
		parent, base = trimmed[:i], trimmed[i+1:]
	}
	if base == "" || base == "." || base == ".." {
		return nil, "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	dir, err = t.resolve("open", parent, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return nil, "", err
	}
	return dir, base, nil
}

// create makes a file that is not there. O_EXCL keeps the kernel from following
// a symlink in its place.
func (t *Tree) create(name string, flag int, perm fs.FileMode) (*os.File, error) {
	return t.resolveMode("open", name, flag|unix.O_CREAT|unix.O_EXCL, perm)
}
