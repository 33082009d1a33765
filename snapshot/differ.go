package snapshot

import (
	"context"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A differ compares two trees. It holds some names of the directories on one path, and
// nothing else.
type differ struct {
	ctx    context.Context
	report func(Change, fileID) error
	// suspects narrows the search, where the driver can; may be nil.
	suspects func(a, b *os.File) ([]string, bool, error)
	identify bool // reports what was added and removed with its identity
	exact    bool // takes times and hard links for differences too
}

// A fileID tells a file from all others that ever were in a tree and its copies by the
// file system.
type fileID struct {
	ino   uint64
	birth unix.StatxTimestamp
	dir   bool
}

// trees compares two directories that may be the roots of what the driver tracks.
func (d *differ) trees(path string, a, b *os.File) error {
	if d.suspects != nil {
		paths, ok, err := d.suspects(a, b)
		if err != nil {
			return err
		}
		if ok {
			return d.visitAll(path, a, b, paths)
		}
	}
	return d.dirs(path, a, b)
}

// visitAll compares what is at some paths below two directories.
func (d *differ) visitAll(prefix string, a, b *os.File, paths []string) error {
	slices.SortFunc(paths, comparePaths)
	covered := ""
	for _, path := range paths {
		if path == "." || covered != "" && strings.HasPrefix(path, covered+"/") {
			continue
		}
		all, err := d.visit(prefix, path, a, b)
		if err != nil {
			return err
		}
		if all {
			covered = path
		}
	}
	return nil
}

// comparePaths orders paths as a walk meets them: a directory right before what is in it.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}

// visit compares what is at one path, and says whether that includes all below it: of
// a directory that is the same on both sides only itself is compared.
func (d *differ) visit(prefix, path string, rootA, rootB *os.File) (all bool, err error) {
	a, err := parentIn(rootA, path)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := parentIn(rootB, path)
	if err != nil {
		return false, err
	}
	defer b.Close()
	name, full := filepath.Base(path), filepath.Join(prefix, path)
	stA, inA, err := statIn(a, name, a != nil)
	if err != nil {
		return false, err
	}
	stB, inB, err := statIn(b, name, b != nil)
	if err != nil {
		return false, err
	}
	same := inA && inB && stA.Ino == stB.Ino && stA.Ino != firstFreeObjectID
	if same && isDir(&stA) && isDir(&stB) {
		return false, d.pair(full, a, b, &stA, &stB)
	}
	return true, d.entry(full, a, b, inA, inB)
}

// parentIn opens the directory that a path below root lies in, or returns nil if there
// is none.
func parentIn(root *os.File, path string) (*os.File, error) {
	dir, err := openBeneath(root, filepath.Dir(path))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	return dir, err
}

// dirs compares the entries of two directories, of which one may be nil.
func (d *differ) dirs(path string, a, b *os.File) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	nextA, stopA := iter.Pull2(sortedNames(a))
	defer stopA()
	nextB, stopB := iter.Pull2(sortedNames(b))
	defer stopB()
	nameA, errA, inA := nextA()
	nameB, errB, inB := nextB()
	for inA || inB {
		if err := errors.Join(errA, errB); err != nil {
			return err
		}
		hasA := inA && (!inB || nameA <= nameB)
		hasB := inB && (!inA || nameB <= nameA)
		name := nameA
		if !hasA {
			name = nameB
		}
		if err := d.entry(filepath.Join(path, name), a, b, hasA, hasB); err != nil {
			return err
		}
		if hasA {
			nameA, errA, inA = nextA()
		}
		if hasB {
			nameB, errB, inB = nextB()
		}
	}
	return nil
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

// alone reports a file that only one tree has, and all below it.
func (d *differ) alone(path string, kind ChangeKind, dir *os.File, st *unix.Stat_t) error {
	id, err := d.identityOf(dir, filepath.Base(path), st)
	if err == nil {
		err = d.report(Change{Path: path, Kind: kind}, id)
	}
	if err != nil || !isDir(st) {
		return err
	}
	sub, err := openDirIn(dir, filepath.Base(path))
	if err != nil {
		return ignoreVanished(err)
	}
	defer sub.Close()
	if kind == Removed {
		return d.dirs(path, sub, nil)
	}
	return d.dirs(path, nil, sub)
}

func (d *differ) identityOf(dir *os.File, name string, st *unix.Stat_t) (id fileID, err error) {
	if !d.identify {
		return id, nil
	}
	var stx unix.Statx_t
	err = unix.Statx(int(dir.Fd()), name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &stx)
	if errors.Is(err, unix.ENOENT) {
		return id, nil // removed meanwhile
	}
	if err != nil {
		return id, &os.PathError{Op: "statx", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return fileID{stx.Ino, stx.Btime, isDir(st)}, nil
}

func openDirIn(dir *os.File, name string) (*os.File, error) {
	fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
}

// same compares two files of the same type, and all below them.
func (d *differ) same(path string, a, b *os.File, stA, stB *unix.Stat_t) error {
	err := d.pair(path, a, b, stA, stB)
	if err != nil || !isDir(stA) {
		return err
	}
	subA, err := openDirIn(a, filepath.Base(path))
	if err != nil {
		return ignoreVanished(err)
	}
	defer subA.Close()
	subB, err := openDirIn(b, filepath.Base(path))
	if err != nil {
		return ignoreVanished(err)
	}
	defer subB.Close()
	return d.trees(path, subA, subB)
}

// pair compares two files of the same type, and nothing below them.
func (d *differ) pair(path string, a, b *os.File, stA, stB *unix.Stat_t) error {
	if untouched(stA, stB) && (!d.exact || stA.Nlink == stB.Nlink && !linked(stB)) {
		return nil
	}
	name := filepath.Base(path)
	kind, err := compare(d.ctx, name, name, a, b, stA, stB)
	if err == nil && kind == "" && d.exact && (stA.Mtim != stB.Mtim || stA.Nlink != stB.Nlink && !isDir(stB) || linked(stB)) {
		kind = Attributes
	}
	if err != nil || kind == "" {
		return ignoreVanished(err)
	}
	return d.report(Change{Path: path, Kind: kind}, fileID{})
}
