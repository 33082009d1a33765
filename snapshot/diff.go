package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// A ChangeKind says what became of a file between two trees.
type ChangeKind string

// The kinds of changes. A file that became one of another type was removed and added.
const (
	Added      ChangeKind = "added"
	Removed    ChangeKind = "removed"
	Content    ChangeKind = "content"    // data of a file, target of a link, number of a device
	Attributes ChangeKind = "attributes" // mode, owner or extended attributes, but not the content
)

// A Change is one file, of any type, that differs between two trees. Times alone are
// no difference.
type Change struct {
	// Path is relative to the trees, without a leading slash.
	Path string
	Kind ChangeKind
}

// Diff yields what changed from one snapshot to another, in the order of the paths.
// An empty name stands for the volume as it is now. What is in a directory that was
// added or removed is listed as well. It yields an error at most once, as the last
// element.
func (v *Volume) Diff(ctx context.Context, from, to string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		err := v.diff(ctx, from, to, func(c Change) bool { return yield(c, nil) })
		if err != nil && !errors.Is(err, errStop) {
			yield(Change{}, wrap(Error{Op: "diff", Path: v.store.dir, Volume: v.name, Snapshot: to}, err))
		}
	}
}

// errStop says that the caller wants no more.
var errStop = errors.New("stop")

func (v *Volume) diff(ctx context.Context, from, to string, yield func(Change) bool) (err error) {
	var dirs [2]*os.File
	for i, name := range []string{from, to} {
		dir, release, err := v.look(ctx, name)
		if err != nil {
			return err
		}
		defer release()
		if dirs[i], err = os.Open(dir); err != nil {
			return err
		}
		defer dirs[i].Close()
	}
	d := differ{ctx, yield}
	return d.dirs("", dirs[0], dirs[1])
}

// look gives a directory where a snapshot, or with no name the volume, can be read.
func (v *Volume) look(ctx context.Context, name string) (string, func() error, error) {
	if name != "" {
		return v.View(ctx, name)
	}
	return v.Path(), func() error { return nil }, v.exists()
}

// A differ walks two trees side by side. It holds the names of the directories on one
// path, and nothing else.
type differ struct {
	ctx   context.Context
	yield func(Change) bool
}

func (d *differ) report(path string, kind ChangeKind) error {
	if !d.yield(Change{path, kind}) {
		return errStop
	}
	return nil
}

// dirs compares the entries of two directories, of which one may be nil.
func (d *differ) dirs(path string, a, b *os.File) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	inA, err := namesIn(a)
	if err != nil {
		return err
	}
	inB, err := namesIn(b)
	if err != nil {
		return err
	}
	all := slices.Sorted(maps.Keys(inA))
	for name := range inB {
		if !inA[name] {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	for _, name := range all {
		if err := d.entry(filepath.Join(path, name), a, b, inA[name], inB[name]); err != nil {
			return err
		}
	}
	return nil
}

func namesIn(dir *os.File) (map[string]bool, error) {
	if dir == nil {
		return nil, nil
	}
	names, err := dir.Readdirnames(-1)
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set, err
}

// entry compares one name in two directories.
func (d *differ) entry(path string, a, b *os.File, inA, inB bool) error {
	name := filepath.Base(path)
	stA, inA, err := statIn(a, name, inA)
	if err != nil {
		return err
	}
	stB, inB, err := statIn(b, name, inB)
	if err != nil {
		return err
	}
	if inA && inB && stA.Mode&unix.S_IFMT == stB.Mode&unix.S_IFMT {
		return d.same(path, a, b, &stA, &stB)
	}
	if inA {
		if err := d.alone(path, Removed, a, &stA); err != nil {
			return err
		}
	}
	if inB {
		return d.alone(path, Added, b, &stB)
	}
	return nil
}

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

// alone reports a file that only one tree has, and all below it.
func (d *differ) alone(path string, kind ChangeKind, dir *os.File, st *unix.Stat_t) error {
	if err := d.report(path, kind); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return err
	}
	sub, err := openDirIn(dir, filepath.Base(path))
	if err != nil {
		return err
	}
	defer sub.Close()
	if kind == Removed {
		return d.dirs(path, sub, nil)
	}
	return d.dirs(path, nil, sub)
}

func openDirIn(dir *os.File, name string) (*os.File, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

// same compares two files of the same type.
func (d *differ) same(path string, a, b *os.File, stA, stB *unix.Stat_t) error {
	name := filepath.Base(path)
	directory := stA.Mode&unix.S_IFMT == unix.S_IFDIR
	if !untouched(stA, stB) {
		kind, err := compare(name, a, b, stA, stB)
		if err == nil && kind != "" {
			err = d.report(path, kind)
		}
		if err != nil {
			return err
		}
	}
	if !directory {
		return nil
	}
	subA, err := openDirIn(a, name)
	if err != nil {
		return err
	}
	defer subA.Close()
	subB, err := openDirIn(b, name)
	if err != nil {
		return err
	}
	defer subB.Close()
	return d.dirs(path, subA, subB)
}

// untouched reports whether two files are one and the same inode in two snapshots of a
// file system, not changed in between: nobody but the kernel sets the time of change.
func untouched(a, b *unix.Stat_t) bool {
	return a.Ino == b.Ino && a.Ctim == b.Ctim && a.Mtim == b.Mtim && a.Size == b.Size
}

// compare returns how the two files of that name differ, or "".
func compare(name string, a, b *os.File, stA, stB *unix.Stat_t) (ChangeKind, error) {
	differs, err := contentDiffers(name, a, b, stA, stB)
	switch {
	case err != nil:
		return "", err
	case differs:
		return Content, nil
	case stA.Mode != stB.Mode || stA.Uid != stB.Uid || stA.Gid != stB.Gid:
		return Attributes, nil
	}
	attrsA, err := xattrsOfName(a, name, name).all()
	if err != nil {
		return "", err
	}
	attrsB, err := xattrsOfName(b, name, name).all()
	if err != nil || maps.Equal(attrsA, attrsB) {
		return "", err
	}
	return Attributes, nil
}

func contentDiffers(name string, a, b *os.File, stA, stB *unix.Stat_t) (bool, error) {
	switch stA.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		if stA.Size != stB.Size {
			return true, nil
		}
		return bytesDiffer(name, a, b)
	case unix.S_IFLNK:
		targetA, err := readLinkAt(a, name)
		if err != nil {
			return false, err
		}
		targetB, err := readLinkAt(b, name)
		return targetA != targetB, err
	case unix.S_IFCHR, unix.S_IFBLK:
		return stA.Rdev != stB.Rdev, nil
	}
	return false, nil
}

func bytesDiffer(name string, a, b *os.File) (bool, error) {
	var files [2]*os.File
	for i, dir := range []*os.File{a, b} {
		fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return false, err
		}
		files[i] = os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name))
		defer files[i].Close()
	}
	var blocks [2][64 << 10]byte
	for {
		n, errA := io.ReadFull(files[0], blocks[0][:])
		m, errB := io.ReadFull(files[1], blocks[1][:])
		if !bytes.Equal(blocks[0][:n], blocks[1][:m]) {
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
