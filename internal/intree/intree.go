package intree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotRegular says that a path names something else than a regular file.
var ErrNotRegular = errors.New("not a regular file")

// A Tree is an open directory that paths are resolved against. Its methods may
// be called concurrently.
type Tree struct {
	// NoSync makes writing not wait for the disk, for trees that are written as a
	// whole and thrown away when that fails. Set it before the tree is used.
	NoSync bool

	dir *os.File
}

// Open opens the tree below dir. The path of dir itself is resolved as usual,
// symlinks included. The caller closes the tree.
func Open(dir string) (*Tree, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open tree", Path: dir, Err: err}
	}
	return &Tree{dir: os.NewFile(uintptr(fd), dir)}, nil
}

// Close releases the tree. Files opened from it stay open.
func (t *Tree) Close() error { return t.dir.Close() }

// Dir returns the path that the tree was opened with.
func (t *Tree) Dir() string { return t.dir.Name() }

// Open opens a regular file for reading.
func (t *Tree) Open(name string) (*os.File, error) {
	return t.OpenFile(name, os.O_RDONLY, 0)
}

// OpenFile opens a regular file with the flags of [os.OpenFile]. Symlinks to an
// existing file are followed inside the tree. With O_CREATE a missing file is
// made with mode perm less the umask; a dangling symlink in its place is
// [fs.ErrExist].
func (t *Tree) OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error) {
	handle, err := t.resolve("open", name, unix.O_PATH)
	switch {
	case err == nil && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		handle.Close()
		return nil, &fs.PathError{Op: "open", Path: name, Err: unix.EEXIST}
	case err == nil:
		defer handle.Close()
		return reopen(handle, name, flag&^(os.O_CREATE|os.O_EXCL))
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		return t.create(name, flag, perm)
	}
	return nil, err
}

// ReadFile returns the content of a regular file.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	f, err := t.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Stat describes what name leads to, symlinks followed inside the tree.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	return t.stat("stat", name, unix.O_PATH)
}

// Lstat describes name itself, also where it is a symlink.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	return t.stat("lstat", name, unix.O_PATH|unix.O_NOFOLLOW)
}

// Readlink returns the target of a symlink as it is stored.
func (t *Tree) Readlink(name string) (string, error) {
	f, err := t.resolve("readlink", name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

func (t *Tree) stat(op, name string, flags int) (fs.FileInfo, error) {
	f, err := t.resolve(op, name, flags)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// resolve opens name below the tree. The kernel answers EAGAIN when something
// was renamed or mounted while it resolved "..", see openat2(2).
func (t *Tree) resolve(op, name string, flags int) (*os.File, error) {
	return t.resolveMode(op, name, flags, 0)
}

func (t *Tree) resolveMode(op, name string, flags int, mode fs.FileMode) (*os.File, error) {
	rel := strings.TrimLeft(name, "/")
	if rel == "" {
		rel = "."
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Mode:    uint64(mode.Perm()),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range 256 {
		fd, err := unix.Openat2(int(t.dir.Fd()), rel, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), name), nil
		}
		if err != unix.EAGAIN && err != unix.EINTR {
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	return nil, &fs.PathError{Op: op, Path: name, Err: unix.EAGAIN}
}

// reopen turns an O_PATH handle of a regular file into a file with access. It
// goes through /proc because the handle, unlike the name, cannot be exchanged
// for something else in the meantime.
func reopen(handle *os.File, name string, flag int) (*os.File, error) {
	info, err := handle.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	fd, err := unix.Open(procPath(handle), flag|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func procPath(f *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
}
