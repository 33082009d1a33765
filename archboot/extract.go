package archboot

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of what an archive may unpack to. A bootstrap tarball has some 20 000
// entries and 600 MiB.
const (
	maxEntries = 2_000_000
	maxBytes   = 64 << 30
)

// extract unpacks what is below prefix in a tar archive into the directory dir,
// with owners, modes, times and extended attributes, and ignores the rest. No
// entry can write outside dir: a parent directory is only ever opened with
// RESOLVE_NO_SYMLINKS, and the last component is made anew, never followed.
// Device nodes and whatever else a system's archive has no business with are
// [ErrHostile].
func extract(ctx context.Context, r io.Reader, dir, prefix string) error {
	top, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer top.Close()
	plain, err := decompress(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	defer plain.Close()
	x := &extraction{top: top, parent: -1}
	defer x.close()
	err = x.all(ctx, plain, prefix)
	if err == nil && x.entries == 0 {
		err = fmt.Errorf("%w: the archive has nothing below %s/", ErrCorrupt, prefix)
	}
	return err
}

// An extraction is an archive being unpacked. It remembers the directory it
// wrote to last, which nearly always is the next one too.
type extraction struct {
	top        *os.File
	parent     int // file descriptor, -1 for none
	parentName string
	dirs       []*tar.Header // whose times are set at the end
	entries    int
	bytes      int64
	buf        []byte
}

func (x *extraction) close() {
	if x.parent >= 0 {
		unix.Close(x.parent)
	}
}

func (x *extraction) all(ctx context.Context, plain io.Reader, prefix string) error {
	ending := &trailer{r: plain}
	r := tar.NewReader(ending)
	x.buf = make([]byte, 1<<18)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := r.Next()
		if err == io.EOF {
			return errors.Join(ending.check(), drain(plain), x.setDirTimes())
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		name, ok, err := below(h.Name, prefix)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := x.entry(h, name, prefix, r); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
}

func (x *extraction) entry(h *tar.Header, name, prefix string, r io.Reader) error {
	x.entries++
	x.bytes += h.Size
	if x.entries > maxEntries || x.bytes > maxBytes || h.Size < 0 {
		return fmt.Errorf("%w: the archive unpacks to more than %d entries or %d bytes", ErrHostile, maxEntries, int64(maxBytes))
	}
	if name == "." {
		return nil
	}
	parent, base, err := x.open(name)
	if err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return x.directory(h, parent, base, name)
	case tar.TypeReg:
		return x.file(h, parent, base, r)
	case tar.TypeSymlink:
		return x.symlink(h, parent, base)
	case tar.TypeLink:
		return x.hardlink(h, parent, base, prefix)
	}
	return fmt.Errorf("%w: entry of type %q", ErrHostile, h.Typeflag)
}

// open returns the directory that holds name.
func (x *extraction) open(name string) (fd int, base string, err error) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if x.parent >= 0 && dir == x.parentName {
		return x.parent, base, nil
	}
	fd, err = x.openBelow(dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, "", err
	}
	x.close()
	x.parent, x.parentName = fd, dir
	return fd, base, nil
}

func (x *extraction) openBelow(name string, flags uint64) (int, error) {
	if name == "" {
		name = "."
	}
	fd, err := unix.Openat2(int(x.top.Fd()), name, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err == unix.ELOOP || err == unix.EXDEV {
		return -1, fmt.Errorf("%w: %s leads through a symlink", ErrHostile, name)
	}
	return fd, os.NewSyscallError("openat2", err)
}

func (x *extraction) directory(h *tar.Header, parent int, base, name string) error {
	err := unix.Mkdirat(parent, base, 0o700)
	if err != nil && err != unix.EEXIST {
		return os.NewSyscallError("mkdirat", err)
	}
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("openat", err)
	}
	defer unix.Close(fd)
	later := *h
	later.Name = name
	x.dirs = append(x.dirs, &later)
	return setMetadata(fd, h)
}

func (x *extraction) file(h *tar.Header, parent int, base string, r io.Reader) error {
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(parent, base, flags, 0o600)
	if err == unix.EEXIST {
		_ = unix.Unlinkat(parent, base, 0) // the last one of that name counts
		fd, err = unix.Openat(parent, base, flags, 0o600)
	}
	if err != nil {
		return os.NewSyscallError("openat", err)
	}
	defer unix.Close(fd)
	if err := x.copy(fd, r); err != nil {
		return err
	}
	if err := setMetadata(fd, h); err != nil {
		return err
	}
	return setTimes(parent, base, h.ModTime)
}

// copy writes with plain system calls: an os.File for each of 20 000 files would
// cost as much as their content.
func (x *extraction) copy(fd int, r io.Reader) error {
	for {
		n, err := r.Read(x.buf)
		for p := x.buf[:n]; len(p) > 0; {
			written, err := unix.Write(fd, p)
			if err == unix.ENOSPC || err == unix.EDQUOT {
				return fmt.Errorf("%w: %w", ErrNoSpace, err)
			}
			if err != nil && err != unix.EINTR {
				return os.NewSyscallError("write", err)
			}
			p = p[max(written, 0):]
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
}

func (x *extraction) symlink(h *tar.Header, parent int, base string) error {
	err := unix.Symlinkat(h.Linkname, parent, base)
	if err == unix.EEXIST {
		_ = unix.Unlinkat(parent, base, 0)
		err = unix.Symlinkat(h.Linkname, parent, base)
	}
	if err != nil {
		return os.NewSyscallError("symlinkat", err)
	}
	if err := unix.Fchownat(parent, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return os.NewSyscallError("fchownat", err)
	}
	return setTimes(parent, base, h.ModTime)
}

// hardlink links to an entry that was there before. Its target is opened like any
// other name, so it cannot be a file outside.
func (x *extraction) hardlink(h *tar.Header, parent int, base, prefix string) error {
	target, ok, err := below(h.Linkname, prefix)
	if err != nil || !ok {
		return errors.Join(fmt.Errorf("%w: hard link to %q", ErrHostile, h.Linkname), err)
	}
	fd, err := x.openBelow(target, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_ = unix.Unlinkat(parent, base, 0)
	return os.NewSyscallError("linkat", unix.Linkat(fd, "", parent, base, unix.AT_EMPTY_PATH))
}

// setMetadata sets owner, mode and attributes, in the order in which the kernel
// does not undo one by the next: chown drops setuid and capabilities.
func setMetadata(fd int, h *tar.Header) error {
	if err := unix.Fchown(fd, h.Uid, h.Gid); err != nil {
		return os.NewSyscallError("fchown", err)
	}
	if err := unix.Fchmod(fd, uint32(h.Mode&0o7777)); err != nil {
		return os.NewSyscallError("fchmod", err)
	}
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, "SCHILY.xattr.")
		if !ok || name != "security.capability" && !strings.HasPrefix(name, "user.") {
			continue
		}
		if err := unix.Fsetxattr(fd, name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

func setTimes(parent int, base string, when time.Time) error {
	ts := unix.NsecToTimespec(when.UnixNano())
	err := unix.UtimesNanoAt(parent, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	return os.NewSyscallError("utimensat", err)
}

// setDirTimes comes last, because every entry changes the time of its directory.
func (x *extraction) setDirTimes() error {
	for _, h := range x.dirs {
		parent, base, err := x.open(h.Name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := setTimes(parent, base, h.ModTime); err != nil {
			return err
		}
	}
	return nil
}
