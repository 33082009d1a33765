package snapshot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// copyInode copies a file of any kind but a directory, under one name.
func (c *copier) copyInode(src, dst *os.File, name string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return c.copyRegular(src, dst, name)
	case unix.S_IFLNK:
		return copySymlink(src, dst, name, st)
	}
	err := unix.Mknodat(int(dst.Fd()), name, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))
	if err != nil {
		return &os.PathError{Op: "mknod", Path: filepath.Join(dst.Name(), name), Err: err}
	}
	return copyAttributesAt(src, dst, name, st)
}

// copyRegular works on bare descriptors: there are many files, and an os.File costs
// more than what is done with it here.
func (c *copier) copyRegular(srcDir, dstDir *os.File, name string) error {
	// Not to wait for a writer if a pipe has taken the file's place.
	src, err := openAt(srcDir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ignoreVanished(err)
	}
	defer unix.Close(src)
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return &os.PathError{Op: "stat", Path: filepath.Join(srcDir.Name(), name), Err: err}
	}
	dst, err := openAt(dstDir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	path := filepath.Join(dstDir.Name(), name)
	err = c.copyData(dst, src, &st)
	if err != nil {
		err = &os.PathError{Op: "copy to", Path: path, Err: err}
	} else {
		err = copyAttributes(dst, src, &st, path)
	}
	return errors.Join(err, unix.Close(dst))
}

// openAt is openat(2) for one name in an open directory.
func openAt(dir *os.File, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, mode)
		if err == nil {
			return fd, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return -1, &os.PathError{Op: "open", Path: filepath.Join(dir.Name(), name), Err: err}
		}
	}
}

// copyData shares the blocks if the file system can, and otherwise copies what is no
// hole.
func (c *copier) copyData(dst, src int, st *unix.Stat_t) error {
	if st.Size == 0 {
		return nil
	}
	if !c.noClone.Load() {
		err := unix.IoctlFileClone(dst, src)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EXDEV):
			c.noClone.Store(true)
		case !errors.Is(err, unix.EINVAL): // EINVAL: not this file, one without checksums for instance
			return err
		}
	}
	if allocated(st) >= st.Size {
		return copyRange(c.ctx, dst, src, 0, st.Size)
	}
	return copySparse(c.ctx, dst, src, st.Size)
}

// copySparse copies the parts of a file that are no holes.
func copySparse(ctx context.Context, dst, src int, size int64) error {
	if err := unix.Ftruncate(dst, size); err != nil {
		return err
	}
	for end := int64(0); end < size; {
		start, err := unix.Seek(src, end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // a hole up to the end
		}
		if err == nil {
			end, err = unix.Seek(src, start, unix.SEEK_HOLE)
		}
		if err != nil {
			return err
		}
		if err := copyRange(ctx, dst, src, start, end); err != nil {
			return err
		}
	}
	return nil
}

// copyRange copies the bytes from start to end, or to the end of a file that has
// become shorter.
func copyRange(ctx context.Context, dst, src int, start, end int64) error {
	const atOnce = 16 << 20 // between two looks at ctx
	from, to := start, start
	for from < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := unix.CopyFileRange(src, &from, dst, &to, int(min(end-from, atOnce)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return copyBytes(ctx, dst, src, from, end)
		case err != nil:
			return err
		case n == 0:
			return nil
		}
	}
	return nil
}

// copyBytes is for file systems between which the kernel does not copy.
func copyBytes(ctx context.Context, dst, src int, start, end int64) error {
	buf := make([]byte, min(end-start, 1<<20))
	for start < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := unix.Pread(src, buf[:min(int64(len(buf)), end-start)], start)
		if err != nil || n == 0 {
			return err
		}
		for chunk := buf[:n]; len(chunk) > 0; {
			n, err := unix.Pwrite(dst, chunk, start)
			if err != nil {
				return err
			}
			chunk, start = chunk[n:], start+int64(n)
		}
	}
	return nil
}

func copySymlink(src, dst *os.File, name string, st *unix.Stat_t) error {
	target, err := readLinkAt(src, name)
	if err != nil {
		return ignoreVanished(err)
	}
	if err := unix.Symlinkat(target, int(dst.Fd()), name); err != nil {
		return &os.PathError{Op: "symlink", Path: filepath.Join(dst.Name(), name), Err: err}
	}
	return copyAttributesAt(src, dst, name, st)
}

func readLinkAt(dir *os.File, name string) (string, error) {
	buf := make([]byte, 4096) // PATH_MAX, which no target exceeds
	n, err := unix.Readlinkat(int(dir.Fd()), name, buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return string(buf[:n]), nil
}

// copyAttributes copies owner, mode, extended attributes and times between open files.
func copyAttributes(dst, src int, st *unix.Stat_t, path string) error {
	attrs, err := xattrsOfFile(src, path).all()
	if err != nil {
		return err
	}
	return applyAttributes(dst, st, path, attrs)
}

// applyAttributes gives an open file attributes. The owner comes first, since chown(2)
// drops set-user-ID bits and capabilities; the times come last.
func applyAttributes(fd int, st *unix.Stat_t, path string, attrs map[string]string) error {
	if err := unix.Fchown(fd, int(st.Uid), int(st.Gid)); err != nil {
		return &os.PathError{Op: "chown", Path: path, Err: err}
	}
	if err := unix.Fchmod(fd, st.Mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: path, Err: err}
	}
	if len(attrs) > 0 {
		if err := xattrsOfFile(fd, path).setAll(attrs); err != nil {
			return err
		}
	}
	if err := setTimes(fd, st.Atim, st.Mtim); err != nil {
		return &os.PathError{Op: "set times", Path: path, Err: err}
	}
	return nil
}

// setTimes is futimens(3), which x/sys lacks.
func setTimes(fd int, access, modification unix.Timespec) error {
	times := [2]unix.Timespec{access, modification}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// fdPath is a path to an open file, for calls that take only paths.
func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// copyAttributesAt does as copyAttributes for what cannot be opened without
// consequences.
func copyAttributesAt(src, dst *os.File, name string, st *unix.Stat_t) error {
	attrs, err := xattrsOfName(src, name, name).all()
	if err != nil && !vanished(err) {
		return err
	}
	return applyAttributesAt(dst, name, st, attrs)
}

func applyAttributesAt(dir *os.File, name string, st *unix.Stat_t, attrs map[string]string) error {
	fd, path := int(dir.Fd()), filepath.Join(dir.Name(), name)
	if err := unix.Fchownat(fd, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "chown", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK { // a link has no mode
		if err := unix.Fchmodat(fd, name, st.Mode&0o7777, 0); err != nil {
			return &os.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	if err := xattrsOfName(dir, name, path).setAll(attrs); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	if err := unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "set times", Path: path, Err: err}
	}
	return nil
}
