package nspawn

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// imageLock is where nspawn locks a tree while it uses it.
func imageLock(tree string) string {
	return filepath.Join(filepath.Dir(tree), ".#"+filepath.Base(tree)+".lck")
}

// claimImage takes the lock of a tree that an nspawn may use, or may have left. It
// is nil where there is none, and ErrBusy where an nspawn runs on the tree.
func claimImage(tree string) (*os.File, error) {
	for {
		file, err := os.OpenFile(imageLock(tree), os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		// nspawn uses descriptor locks, which flock does not see.
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock) != nil {
			return nil, errors.Join(ErrBusy, file.Close())
		}
		if sameFile(file, imageLock(tree)) {
			return file, nil
		}
		file.Close() // its last holder removed it in between
	}
}

// releaseImage gives the lock back and removes its file.
func releaseImage(file *os.File) error {
	if file == nil {
		return nil
	}
	return errors.Join(os.Remove(file.Name()), unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close())
}

// removeRootLock removes the lock file that an nspawn leaves beside the root when
// it is killed, unless another holds it.
func (r *record) removeRootLock() error {
	lock, err := claimImage(r.Config.Root)
	if errors.Is(err, ErrBusy) {
		return nil
	}
	return errors.Join(err, releaseImage(lock))
}

// removeSnapshots removes the throw-away copy of the root that an nspawn leaves
// when it is killed: beside the root or, where that is a mount point, in it. Those
// of other machines, which are locked, stay.
func (r *record) removeSnapshots() error {
	if !r.Config.Ephemeral {
		return nil
	}
	root := r.Config.Root
	var errs []error
	for dir, prefix := range map[string]string{root: ".#machine.", filepath.Dir(root): ".#machine." + filepath.Base(root)} {
		copies, err := temporaries(dir, prefix)
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, tree := range copies {
			errs = append(errs, removeCopy(tree))
		}
	}
	return errors.Join(errs...)
}

func removeCopy(tree string) error {
	lock, err := claimImage(tree)
	if errors.Is(err, ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(tree), releaseImage(lock))
}

// removeWorkDirs removes what an nspawn that is killed leaves beside the topmost
// layer of an overlay.
func (r *record) removeWorkDirs() error {
	var errs []error
	for _, overlay := range r.Config.Overlays {
		upper := overlay.Layers[len(overlay.Layers)-1]
		if overlay.ReadOnly || upper == "" {
			continue
		}
		dirs, err := temporaries(filepath.Dir(upper), ".#"+filepath.Base(upper))
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, dir := range dirs {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

// temporaries lists what systemd has made in a directory under a temporary name:
// a prefix and 16 hexadecimal digits. That only its lock is left counts too.
func temporaries(dir, prefix string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if rest, locked := strings.CutSuffix(name, ".lck"); locked {
			name = strings.TrimPrefix(rest, ".#")
		}
		digits, found := strings.CutPrefix(name, prefix)
		if found && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == "" {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}
