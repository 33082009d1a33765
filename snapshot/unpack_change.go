package snapshot

import (
	"archive/tar"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// makeRoom removes what an entry replaces, and reports whether that is all there is to
// do. The entries that change a tree come in the order of their paths.
func (u *unpacker) makeRoom(dir *os.File, base, name string, h *tar.Header) (done bool, err error) {
	order := comparePaths(name, u.last)
	if u.last != "" && (order < 0 || order == 0 && !u.removed) {
		return false, corrupt(errors.New("is out of order"))
	}
	u.last, u.removed = name, h.Typeflag == tar.TypeReg && h.PAXRecords[paxType] == typeRemoved
	if u.removed {
		return true, removeAllIn(dir, base)
	}
	if h.Typeflag == tar.TypeDir {
		return false, nil
	}
	err = unix.Unlinkat(int(dir.Fd()), base, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case errors.Is(err, unix.EISDIR):
		return false, corrupt(err)
	}
	return false, err
}

// removeAllIn removes what has a name in a directory, which must be there, with all
// below it.
func removeAllIn(dir *os.File, base string) error {
	if _, there, err := statIn(dir, base, true); err != nil {
		return err
	} else if !there {
		return corrupt(errors.New("is removed but not there"))
	}
	root, err := os.OpenRoot(fdPath(dir))
	if err != nil {
		return err
	}
	return errors.Join(root.RemoveAll(base), root.Close())
}
