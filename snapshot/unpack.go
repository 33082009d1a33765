package snapshot

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// An unpacker makes the files of a stream. It keeps the directories on the way to the
// current entry open and never looks up a path: an entry must lie directly in one of
// them, and its name must be free.
type unpacker struct {
	*importer
	root  *os.File
	dirs  []openDir
	buf   [64 << 10]byte
	zeros [64 << 10]byte // what becomes a hole

	last    string // the name before, where the tree is changed and not made
	removed bool   // and whether that was to be removed
}

// changes reports whether the stream changes a tree that is there.
func (u *unpacker) changes() bool { return u.manifest.Since != "" }

type openDir struct {
	name   string
	file   *os.File
	header *tar.Header
}

func (u *unpacker) close() {
	for _, d := range u.dirs[min(1, len(u.dirs)):] {
		_ = d.file.Close()
	}
}

// leave closes all directories but the first n, and gives them the attributes that
// their entries would have changed.
func (u *unpacker) leave(n int) error {
	for len(u.dirs) > n {
		d := u.dirs[len(u.dirs)-1]
		u.dirs = u.dirs[:len(u.dirs)-1]
		err := u.setAttributes(int(d.file.Fd()), d.header)
		if d.file != u.root {
			err = errors.Join(err, d.file.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entry makes one file.
func (u *unpacker) entry(h *tar.Header) error {
	name := strings.TrimSuffix(h.Name, "/")
	if len(u.dirs) == 0 {
		if name != treeEntry || h.Typeflag != tar.TypeDir {
			return corrupt(errors.New("is not the root of the tree"))
		}
		u.dirs = append(u.dirs, openDir{name, u.root, h})
		return nil
	}
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	at := len(u.dirs) - 1
	for at >= 0 && u.dirs[at].name != dir {
		at--
	}
	if at < 0 || base == "" || base == "." || base == ".." || strings.ContainsRune(base, 0) {
		return corrupt(errors.New("is in no open directory"))
	}
	if err := u.leave(at + 1); err != nil {
		return err
	}
	if u.changes() {
		if done, err := u.makeRoom(u.dirs[at].file, base, name, h); done || err != nil {
			return err
		}
	}
	return u.make(u.dirs[at].file, base, name, h)
}

func (u *unpacker) make(dir *os.File, base, name string, h *tar.Header) error {
	fd := int(dir.Fd())
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(dir, base, name, h)
	case tar.TypeReg:
		if sparse(h) {
			return corrupt(errors.New("is sparse, as nothing is that was exported"))
		}
		if h.PAXRecords[paxType] != typeSocket {
			return u.regular(dir, base, h)
		}
		return u.node(dir, base, h, unix.S_IFSOCK)
	case tar.TypeLink:
		return u.link(dir, base, h.Linkname)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, fd, base); err != nil {
			return taken(err)
		}
		return u.setAttributesAt(dir, base, h)
	case tar.TypeFifo:
		return u.node(dir, base, h, unix.S_IFIFO)
	case tar.TypeChar, tar.TypeBlock:
		if u.opts.NoDevices {
			return corrupt(errors.New("is a device, which is not allowed"))
		}
		if h.Typeflag == tar.TypeChar {
			return u.node(dir, base, h, unix.S_IFCHR)
		}
		return u.node(dir, base, h, unix.S_IFBLK)
	}
	return corrupt(fmt.Errorf("has type %q", h.Typeflag))
}

// sparse reports whether a file has holes that the tar leaves out: there is no limit to
// them, and nothing is read that could be interrupted.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func (u *unpacker) directory(dir *os.File, base, name string, h *tar.Header) error {
	err := unix.Mkdirat(int(dir.Fd()), base, 0o700)
	if err != nil && !(u.changes() && errors.Is(err, unix.EEXIST)) {
		return taken(err)
	}
	sub, err := openDirIn(dir, base)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return corrupt(err)
	}
	if err != nil {
		return err
	}
	u.dirs = append(u.dirs, openDir{name, sub, h})
	return nil
}

// taken says that it is the stream which names a file twice.
func taken(err error) error {
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENAMETOOLONG) {
		return corrupt(err)
	}
	return err
}

func (u *unpacker) node(dir *os.File, base string, h *tar.Header, kind uint32) error {
	device := unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	if err := unix.Mknodat(int(dir.Fd()), base, kind|0o600, int(device)); err != nil {
		return taken(err)
	}
	return u.setAttributesAt(dir, base, h)
}

// link gives a file that has been made another name. The way to it follows no links.
func (u *unpacker) link(dir *os.File, base, target string) error {
	inside, ok := strings.CutPrefix(target, treeEntry+"/")
	if !ok {
		return corrupt(fmt.Errorf("is a name of %q outside the tree", abbreviate(target)))
	}
	from, err := openBeneath(u.root, path.Dir(inside))
	if err != nil {
		return corrupt(err)
	}
	defer from.Close()
	if err := unix.Linkat(int(from.Fd()), path.Base(inside), int(dir.Fd()), base, 0); err != nil {
		return corrupt(err)
	}
	return nil
}

func (u *unpacker) regular(dir *os.File, base string, h *tar.Header) error {
	fd, err := openAt(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return taken(err)
	}
	err = u.content(fd, h.Size)
	if err == nil {
		err = u.setAttributes(fd, h)
	}
	return errors.Join(err, unix.Close(fd))
}

// content writes a file, leaving out blocks of zeros.
func (u *unpacker) content(fd int, size int64) error {
	for at := int64(0); at < size; {
		n, err := io.ReadFull(u.tar, u.buf[:min(size-at, int64(len(u.buf)))])
		if err != nil {
			return corrupt(err)
		}
		u.sum.Write(u.buf[:n])
		if !bytes.Equal(u.buf[:n], u.zeros[:n]) {
			if err := writeAt(fd, u.buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		u.done.add(0, int64(n))
	}
	return unix.Ftruncate(fd, size)
}

func writeAt(fd int, p []byte, at int64) error {
	for len(p) > 0 {
		n, err := unix.Pwrite(fd, p, at)
		if err != nil {
			return err
		}
		p, at = p[n:], at+int64(n)
	}
	return nil
}
