package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// untouched reports whether two files are one and the same inode in two snapshots of a
// file system, not changed in between: nobody but the kernel sets the time of change.
func untouched(a, b *unix.Stat_t) bool {
	return a.Ino == b.Ino && a.Ctim == b.Ctim && a.Mtim == b.Mtim && a.Size == b.Size
}

// compare returns how two files of the same type differ, or "".
func compare(ctx context.Context, nameA, nameB string, a, b *os.File, stA, stB *unix.Stat_t) (ChangeKind, error) {
	differs, err := contentDiffers(ctx, nameA, nameB, a, b, stA, stB)
	switch {
	case err != nil:
		return "", err
	case differs:
		return Content, nil
	case stA.Mode != stB.Mode || stA.Uid != stB.Uid || stA.Gid != stB.Gid:
		return Attributes, nil
	}
	attrsA, err := xattrsOfName(a, nameA, nameA).all()
	if err != nil {
		return "", err
	}
	attrsB, err := xattrsOfName(b, nameB, nameB).all()
	if err != nil || maps.Equal(attrsA, attrsB) {
		return "", err
	}
	return Attributes, nil
}

func contentDiffers(ctx context.Context, nameA, nameB string, a, b *os.File, stA, stB *unix.Stat_t) (bool, error) {
	switch stA.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if stA.Size != stB.Size {
			return true, nil
		}
		return bytesDiffer(ctx, nameA, nameB, a, b)
	case unix.S_IFLNK:
		targetA, err := readLinkAt(a, nameA)
		if err != nil {
			return false, err
		}
		targetB, err := readLinkAt(b, nameB)
		return targetA != targetB, err
	case unix.S_IFCHR, unix.S_IFBLK:
		return stA.Rdev != stB.Rdev, nil
	}
	return false, nil
}

func bytesDiffer(ctx context.Context, nameA, nameB string, a, b *os.File) (bool, error) {
	fileA, err := openFileIn(a, nameA)
	if err != nil {
		return false, err
	}
	defer fileA.Close()
	fileB, err := openFileIn(b, nameB)
	if err != nil {
		return false, err
	}
	defer fileB.Close()
	var blockA, blockB [64 << 10]byte
	for {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		n, errA := io.ReadFull(fileA, blockA[:])
		m, errB := io.ReadFull(fileB, blockB[:])
		if !bytes.Equal(blockA[:n], blockB[:m]) {
			return true, nil
		}
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				return false, err
			}
		}
		if errA != nil || errB != nil {
			return false, nil
		}
	}
}

func openFileIn(dir *os.File, name string) (*os.File, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}
