package archboot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// markerName is a file at the top of a root as long as its bootstrap is not
// through. Whoever finds it without a lock on the root has found the remains of
// a process that was killed.
const markerName = ".archboot-incomplete"

// probeName is a symlink that is there for a moment, before the marker.
const probeName = markerName + ".probe"

// A claim is an empty directory that this process alone turns into a root.
type claim struct {
	path string      // absolute, without symlinks
	dir  *os.File    // holds the lock
	mode fs.FileMode // what the directory had before
}

// claimRoot checks that root is a directory that a root can be made in, locks
// it, empties it if an earlier bootstrap was killed in it, and marks it.
func claimRoot(root string) (*claim, error) {
	path, err := resolveRoot(root)
	if err != nil {
		return nil, err
	}
	c, err := lockRoot(path)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(err, unlock(c.dir))
	}
	return c, nil
}

// rootMode lets services that are not root pass through the machine's top
// directory. One made by mktemp(1) would not.
const rootMode = 0o755

// resolveRoot returns the absolute path of a directory that is not the host's
// own root.
func resolveRoot(root string) (string, error) {
	if root == "" {
		return "", fmt.Errorf("%w: its path is empty", ErrBadRoot)
	}
	path, err := filepath.Abs(root)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w; make the directory or subvolume first", err)
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%w: %s is no directory", ErrBadRoot, path)
	}
	if strings.ContainsAny(path, "\n\r") {
		return "", fmt.Errorf("%w: its path has a line break in it", ErrBadRoot)
	}
	if own, err := os.Stat("/"); err != nil || os.SameFile(own, info) {
		return "", fmt.Errorf("%w: %s is the root of this host", ErrBadRoot, path)
	}
	return path, nil
}

func lockRoot(path string) (*claim, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return lockOpened(path, dir)
}

// lockOpened locks a directory and takes charge of it. Since it was opened, a clone may
// have taken its place: then what is at the path is another's, and finished.
func lockOpened(path string, dir *os.File) (*claim, error) {
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		if err == unix.EWOULDBLOCK {
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	opened, err := dir.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Lstat(path); err == nil && !os.SameFile(opened, there) {
			err = ErrBusy
		}
	}
	if err != nil {
		return nil, errors.Join(err, unlock(dir))
	}
	return &claim{path: path, dir: dir}, nil
}

// unlock closes a file and gives up the lock that is on it. To close it is not
// enough: a program that another goroutine is starting right now has a copy of it
// until it execs.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

func (c *claim) prepare() error {
	if err := c.checkMount(); err != nil {
		return err
	}
	if err := c.sweepClone(); err != nil {
		return fmt.Errorf("remove what a killed clone left: %w", err)
	}
	names, err := c.dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	interrupted := false
	var others []string
	for _, name := range names {
		interrupted = interrupted || name == markerName
		if name != markerName && name != probeName && name != "lost+found" {
			others = append(others, name)
		}
	}
	if len(others) > 0 && !interrupted {
		return fmt.Errorf("%w: it holds %s", ErrNotEmpty, few(others))
	}
	if err := c.empty(c.path); err != nil {
		return fmt.Errorf("remove what a killed bootstrap left: %w", err)
	}
	return c.mark()
}

// checkMount refuses mount options under which a machine cannot run.
func (c *claim) checkMount() error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(c.dir.Fd()), &st); err != nil {
		return fmt.Errorf("statfs: %w", err)
	}
	for _, o := range []struct {
		flag int64
		name string
	}{{unix.ST_RDONLY, "read-only"}, {unix.ST_NOEXEC, "noexec"}, {unix.ST_NOSUID, "nosuid"}, {unix.ST_NODEV, "nodev"}} {
		if st.Flags&o.flag != 0 {
			return fmt.Errorf("%w: its file system is mounted %s", ErrBadRoot, o.name)
		}
	}
	return nil
}

// mark writes the marker and finds out on the way whether the file system has
// what a root needs. FAT, for one, has neither symlinks nor owners.
func (c *claim) mark() error {
	fd := int(c.dir.Fd())
	_ = unix.Unlinkat(fd, probeName, 0)
	err := unix.Symlinkat("probe", fd, probeName)
	if err == nil {
		err = errors.Join(unix.Fchownat(fd, probeName, 1, 1, unix.AT_SYMLINK_NOFOLLOW), unix.Unlinkat(fd, probeName, 0))
	}
	if err != nil {
		return fmt.Errorf("%w: its file system lacks symlinks or owners: %w", ErrBadRoot, err)
	}
	marker, err := unix.Openat(fd, markerName, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "create", Path: filepath.Join(c.path, markerName), Err: err}
	}
	if err := unix.Close(marker); err != nil {
		return err
	}
	info, err := c.dir.Stat()
	if err != nil {
		return err
	}
	c.mode = info.Mode().Perm()
	return c.dir.Chmod(rootMode)
}

// empty removes all below a directory. The marker goes last, so that being killed
// here is noticed too.
func (c *claim) empty(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if name := e.Name(); name != markerName && name != "lost+found" {
			errs = append(errs, root.RemoveAll(name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return root.RemoveAll(markerName)
}

// finish declares the root complete and gives up the lock.
func (c *claim) finish() error {
	return errors.Join(unix.Unlinkat(int(c.dir.Fd()), markerName, 0), unlock(c.dir))
}

// abandon makes the root an empty directory again.
func (c *claim) abandon() error {
	return errors.Join(c.empty(c.path), c.dir.Chmod(c.mode), unlock(c.dir))
}

// few names the first of a list.
func few(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:4], ", ") + fmt.Sprintf(" and %d more", len(names)-4)
	}
	return strings.Join(names, ", ")
}
