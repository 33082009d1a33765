package intree

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"
)

// CopyFrom makes to a copy of what from is in another tree: a file, a symlink
// or a directory with all that is in it, with modes, times and extended
// attributes. Where to is a directory already, a directory is merged into it;
// files are replaced, each atomically. Symlinks are copied and never followed,
// in either tree. Sockets, fifos and device nodes are left out.
//
// owner gives each copy its owner, who may be another than the original's.
// Files that are one file by hard links are one again. The end of the context
// ends the copying, with what has been copied left.
func (t *Tree) CopyFrom(ctx context.Context, to string, src *Tree, from string, owner func(uid, gid uint32) (int, int)) error {
	c := &copying{ctx: ctx, src: src, dst: t, owner: owner, linked: map[inode]string{}}
	return c.copy(from, to)
}

// copying is a copy in progress.
type copying struct {
	ctx      context.Context
	src, dst *Tree
	owner    func(uid, gid uint32) (int, int)
	linked   map[inode]string // copies of files that have several names
}

type inode struct{ dev, ino uint64 }

func (c *copying) copy(from, to string) error {
	if err := c.ctx.Err(); err != nil {
		return context.Cause(c.ctx)
	}
	handle, err := c.src.resolve("copy", from, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer handle.Close()
	info, err := handle.Stat()
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case 0:
		return c.copyFile(handle, info, from, to)
	case fs.ModeDir:
		return c.copyDir(handle, info, from, to)
	case fs.ModeSymlink:
		return c.copyLink(info, from, to)
	}
	return nil
}

func (c *copying) copyFile(handle *os.File, info fs.FileInfo, from, to string) error {
	stat := info.Sys().(*syscall.Stat_t)
	id := inode{uint64(stat.Dev), stat.Ino}
	if first, found := c.linked[id]; found {
		return c.dst.link(first, to)
	}
	in, err := reopen(handle, from, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer in.Close()
	err = c.dst.replace("copy", to, func(out *os.File) error {
		if err := c.pour(out, in); err != nil {
			return err
		}
		return c.dress(out, in, info)
	})
	if err == nil && stat.Nlink > 1 {
		c.linked[id] = to
	}
	return err
}

// pour copies the content in pieces, between which the context may end it, and
// which the kernel copies or shares by itself where it can.
func (c *copying) pour(out, in *os.File) error {
	for {
		switch _, err := io.CopyN(out, in, 16<<20); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case c.ctx.Err() != nil:
			return context.Cause(c.ctx)
		}
	}
}

func (c *copying) copyDir(handle *os.File, info fs.FileInfo, from, to string) error {
	if top, err := c.dst.dir.Stat(); err != nil || os.SameFile(top, info) {
		return errors.Join(err, &fs.PathError{Op: "copy", Path: from, Err: errors.New("what is copied holds the tree that it is copied to")})
	}
	in, err := reopenDir(handle, from)
	if err != nil {
		return err
	}
	defer in.Close()
	entries, err := in.ReadDir(-1)
	if err != nil {
		return err
	}
	if err := c.makeDir(to); err != nil {
		return err
	}
	for _, entry := range entries {
		if err := c.copy(path.Join(from, entry.Name()), path.Join(to, entry.Name())); err != nil {
			return err
		}
	}
	// Last, since what is made in it changes its times.
	made, err := c.dst.resolve("copy", to, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer made.Close()
	return c.dress(made, in, info)
}

// makeDir makes a directory unless there is one. The top needs no making.
func (c *copying) makeDir(to string) error {
	existing, err := c.dst.resolve("copy", to, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err == nil {
		return existing.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, base, err := c.dst.Parent(to)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Mkdirat(int(dir.Fd()), base, 0o700); err != nil {
		return &fs.PathError{Op: "copy", Path: to, Err: err}
	}
	return nil
}

func (c *copying) copyLink(info fs.FileInfo, from, to string) error {
	target, err := c.src.Readlink(from)
	if err != nil {
		return err
	}
	err = c.dst.Symlink(target, to)
	if errors.Is(err, fs.ErrExist) {
		if err = c.dst.Remove(to); err == nil {
			err = c.dst.Symlink(target, to)
		}
	}
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	uid, gid := c.owner(stat.Uid, stat.Gid)
	return c.dst.Chown(to, uid, gid)
}

// dress gives a copy what an original has beside its content. The mode comes
// after the owner, whose change takes away set-user-ID.
func (c *copying) dress(out, in *os.File, info fs.FileInfo) error {
	stat := info.Sys().(*syscall.Stat_t)
	uid, gid := c.owner(stat.Uid, stat.Gid)
	if err := out.Chown(uid, gid); err != nil {
		return err
	}
	if err := unix.Fchmod(int(out.Fd()), stat.Mode&0o7777); err != nil {
		return err
	}
	if err := copyAttributes(out, in); err != nil {
		return err
	}
	times := []unix.Timespec{unix.Timespec(stat.Atim), unix.Timespec(stat.Mtim)}
	return unix.UtimesNanoAt(unix.AT_FDCWD, procPath(out), times, 0)
}

// copyAttributes copies extended attributes as far as the other file system has
// them, file capabilities and access lists among them.
func copyAttributes(out, in *os.File) error {
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(int(in.Fd()), names)
	if err != nil || n == 0 {
		return ignoreUnsupported(err)
	}
	value := make([]byte, 64<<10)
	for _, name := range splitZero(names[:n]) {
		size, err := unix.Fgetxattr(int(in.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(out.Fd()), name, value[:size], 0)
		}
		if err := ignoreUnsupported(err); err != nil {
			return &fs.PathError{Op: "copy " + name + " of", Path: in.Name(), Err: err}
		}
	}
	return nil
}

func splitZero(list []byte) (names []string) {
	for start, i := 0, 0; i < len(list); i++ {
		if list[i] == 0 {
			names = append(names, string(list[start:i]))
			start = i + 1
		}
	}
	return names
}

// ignoreUnsupported lets pass what a file system cannot keep, or an attribute
// that is gone again.
func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// link makes name another name of an existing file.
func (t *Tree) link(existing, name string) error {
	old, err := t.resolve("link", existing, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer old.Close()
	if err := t.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, base, err := t.Parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Linkat(int(old.Fd()), "", int(dir.Fd()), base, unix.AT_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "link", Path: name, Err: err}
	}
	return nil
}

// reopenDir turns a handle into a directory that can be read.
func reopenDir(handle *os.File, name string) (*os.File, error) {
	fd, err := unix.Open(procPath(handle), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}
