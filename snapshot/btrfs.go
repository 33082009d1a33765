package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

// Btrfs returns the driver that makes trees subvolumes and freezes them by
// snapshots of the file system. Subvolumes nested in a tree, as systemd makes them
// in var/lib/machines and var/lib/portables, are included: they are frozen right
// after the one around them, not at the same instant.
func Btrfs() Driver { return btrfsDriver{} }

type btrfsDriver struct{}

func (btrfsDriver) Name() string { return "btrfs" }

func (btrfsDriver) Capabilities() Capabilities {
	return Capabilities{Instant: true, Live: true, Shared: true, Exclusive: true, Renames: true}
}

func (btrfsDriver) Probe(_ context.Context, scratch string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(scratch, &st); err != nil {
		return &os.PathError{Op: "statfs", Path: scratch, Err: err}
	}
	if st.Type != unix.BTRFS_SUPER_MAGIC {
		return hint(fmt.Errorf("no btrfs here: %w", ErrNotSupported), "CreatePool makes a btrfs in a file")
	}
	return needsRoot()
}

// needsRoot: a driver must own files as others and make devices.
func needsRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("keeping the trees of machines: %w", fs.ErrPermission)
	}
	return nil
}

func (btrfsDriver) Create(ctx context.Context, path string) error {
	return step(ctx, "create subvolume", func() error { return createSubvolume(path) })
}

func (btrfsDriver) Freeze(ctx context.Context, dst, src string) error {
	return copySubvolume(ctx, dst, src, true)
}

func (btrfsDriver) Thaw(ctx context.Context, dst, src string) error {
	return copySubvolume(ctx, dst, src, false)
}

// copySubvolume makes dst a snapshot of src with all that is nested in it.
func copySubvolume(ctx context.Context, dst, src string, readOnly bool) error {
	from, err := openSubvolume(src)
	if err != nil {
		return err
	}
	defer from.Close()
	inner, err := nestedIn(from)
	if err != nil {
		return err
	}
	err = step(ctx, "snapshot", func() error {
		return snapshotSubvolume(dst, src, readOnly && len(inner) == 0)
	})
	if err != nil || len(inner) == 0 {
		return err
	}
	to, err := openSubvolume(dst)
	if err != nil {
		return err
	}
	defer to.Close()
	return copyNested(ctx, to, from, inner, readOnly)
}

// copyNested snapshots the subvolumes nested in from, all that are in them included,
// into its snapshot to, and makes that read-only at last if asked.
func copyNested(ctx context.Context, to, from *os.File, inner []nested, readOnly bool) error {
	for _, n := range inner {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := copyOneNested(ctx, to, from, n.path, readOnly); err != nil {
			return err
		}
	}
	if !readOnly {
		return nil
	}
	return step(ctx, "set read-only", func() error { return setReadOnly(to, true) })
}

func copyOneNested(ctx context.Context, to, from *os.File, path string, readOnly bool) error {
	src, err := openNested(from, path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, errNoSubvolume) {
		return nil // deleted since it was listed
	}
	if err != nil {
		return err
	}
	defer src.Close()
	inner, err := nestedIn(src)
	if err != nil {
		return err
	}
	if err := fillStub(ctx, to, path, src, readOnly && len(inner) == 0); err != nil || len(inner) == 0 {
		return err
	}
	dst, err := openNested(to, path)
	if err != nil {
		return err
	}
	defer dst.Close()
	return copyNested(ctx, dst, src, inner, readOnly)
}

// fillStub puts a snapshot of src where a subvolume was nested: there the snapshot
// around it has an empty directory, inode 2. The directory that holds it keeps its
// time of modification.
func fillStub(ctx context.Context, to *os.File, path string, src *os.File, readOnly bool) error {
	parent, err := openBeneath(to, filepath.Dir(path))
	if errors.Is(err, unix.ENOENT) {
		return nil // linked after the snapshot was taken
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	info, err := parent.Stat()
	if err != nil {
		return err
	}
	err = step(ctx, "remove stub", func() error {
		return unix.Unlinkat(int(parent.Fd()), filepath.Base(path), unix.AT_REMOVEDIR)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "remove stub", Path: path, Err: err}
	}
	err = step(ctx, "snapshot nested", func() error {
		return btrfs.SnapshotIn(parent, filepath.Base(path), src, readOnly)
	})
	return errors.Join(err, setModTime(parent, info.ModTime()))
}

func setModTime(f *os.File, t time.Time) error {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return err
	}
	return setTimes(int(f.Fd()), unix.Timespec{Nsec: unix.UTIME_OMIT}, ts)
}

// Remove deletes the subvolumes of a tree, deepest first. Only from a read-only one
// the kernel refuses to take away what is nested in it, which is then writable first.
func (btrfsDriver) Remove(ctx context.Context, path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	err = removeSubvolume(ctx, parent, filepath.Base(path))
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, errNoSubvolume): // somebody put a directory in its place
		return step(ctx, "remove directory", func() error { return os.RemoveAll(path) })
	}
	return err
}

// removeSubvolume deletes the subvolume at path below root with all nested in it.
func removeSubvolume(ctx context.Context, root *os.File, path string) error {
	subvol, err := openNested(root, path)
	if err != nil {
		return err
	}
	defer subvol.Close()
	inner, err := nestedIn(subvol)
	if err != nil {
		return err
	}
	if len(inner) > 0 {
		err = step(ctx, "set writable", func() error { return setReadOnly(subvol, false) })
	}
	for _, n := range inner {
		if err != nil {
			return err
		}
		err = removeSubvolume(ctx, subvol, n.path)
	}
	if err != nil {
		return err
	}
	parent, err := openBeneath(root, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return step(ctx, "delete subvolume", func() error { return btrfs.DeleteIn(parent, filepath.Base(path)) })
}

func (btrfsDriver) Place(ctx context.Context, tree, path string) error {
	return rename(ctx, tree, path, unix.RENAME_NOREPLACE)
}

func (btrfsDriver) Withdraw(ctx context.Context, path, tree string) error {
	return rename(ctx, path, tree, unix.RENAME_NOREPLACE)
}

func (btrfsDriver) Swap(ctx context.Context, tree, path string) error {
	return rename(ctx, tree, path, unix.RENAME_EXCHANGE)
}

// Settle has nothing to do: subvolumes need no mount of their own.
func (btrfsDriver) Settle(context.Context, string) error { return nil }

// Identity is the subvolume's id, which a file system never uses twice, or the inode
// of a directory that somebody put in its place.
func (btrfsDriver) Identity(path string) (string, error) {
	f, err := openSubvolume(path)
	if errors.Is(err, errNoSubvolume) {
		return identityOfInode(path)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := infoOf(f)
	if err != nil {
		return "", err
	}
	return strconv.FormatUint(info.TreeID, 10), nil
}

func identityOfInode(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return fmt.Sprintf("inode %d", st.Ino), nil
}

func (btrfsDriver) View(_ context.Context, path string) (string, func() error, error) {
	return path, func() error { return nil }, nil
}

// errNoSubvolume says that a path is an ordinary directory. Most requests on one
// would be carried out on the subvolume around it.
var errNoSubvolume = fmt.Errorf("no subvolume: %w", ErrInvalid)

// openSubvolume opens the root of a subvolume, and nothing else.
func openSubvolume(path string) (*os.File, error) {
	f, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%s is %w", path, errNoSubvolume)
	}
	if err != nil {
		return nil, err
	}
	return onlySubvolume(f)
}

// openNested opens the root of a subvolume below root, and nothing else.
func openNested(root *os.File, path string) (*os.File, error) {
	f, err := openBeneath(root, path)
	if err != nil {
		return nil, err
	}
	return onlySubvolume(f)
}

func onlySubvolume(f *os.File) (*os.File, error) {
	whole, err := btrfs.IsSubvolume(f)
	if err == nil && !whole {
		err = fmt.Errorf("%s is %w", f.Name(), errNoSubvolume)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
