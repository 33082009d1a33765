package testroot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Clone returns the path of a writable root of the given release that belongs to
// the test alone and goes away with it: an overlay on the shared one, in the
// calling thread's mount namespace, or a copy where overlay cannot be mounted.
// Whatever uses it must have ended before the test does; a clone that is still
// busy then fails the test. A clone that a killed test left is removed by the
// next call of Clone on this machine.
//
// The test is skipped where no root can be had, as with [Debian].
func Clone(t testing.TB, suite string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip(&Error{Op: "clone", Suite: suite, Err: ErrNotRoot})
	}
	lower := Debian(t, suite)
	sweep(os.TempDir())
	dir, root, err := clone(t, lower)
	if err != nil {
		t.Fatal(&Error{Op: "clone", Suite: suite, Err: err})
	}
	t.Cleanup(func() {
		if err := discard(dir); err != nil {
			t.Error(&Error{Op: "clone", Suite: suite, Err: err})
		}
	})
	return root
}

const clonePrefix = "rig-testroot-"

// clone makes dir/root.
func clone(t testing.TB, lower string) (dir, root string, err error) {
	dir, err = claim(t)
	if err != nil {
		return "", "", err
	}
	root = filepath.Join(dir, "root")
	if err := overlay(dir, root, lower); err == nil {
		return dir, root, nil
	}
	if out, err := exec.Command("cp", "-a", "--reflink=auto", "-T", lower, root).CombinedOutput(); err != nil {
		return "", "", errors.Join(fmt.Errorf("cp: %w: %s", err, out), os.RemoveAll(dir))
	}
	return dir, root, nil
}

// claim makes a directory whose lock, held until the test or its process ends,
// tells the sweep of another process to leave it alone. It gets the name that
// sweep looks for once it is locked.
func claim(t testing.TB) (string, error) {
	dir, err := os.MkdirTemp("", "new-"+clonePrefix)
	if err != nil {
		return "", err
	}
	held, err := hold(dir)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	t.Cleanup(func() { held.Close() })
	name := filepath.Join(filepath.Dir(dir), strings.TrimPrefix(filepath.Base(dir), "new-"))
	// A machine runs as many users: everybody has to get through to its root.
	if err := errors.Join(os.Chmod(dir, 0o755), os.Rename(dir, name)); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return name, nil
}

func overlay(dir, root, lower string) error {
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{upper, work, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	return unix.Mount("overlay", root, "overlay", 0, options)
}

// hold opens and locks a directory.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("flock %s: %w", dir, err)
	}
	return f, nil
}

// discard unmounts and removes a clone. One that is busy is detached, so that
// the machine keeps nothing, and reported.
func discard(dir string) error {
	root := filepath.Join(dir, "root")
	err := unix.Unmount(root, 0)
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT): // a copy, or not made yet
		err = nil
	case errors.Is(err, unix.EBUSY):
		err = fmt.Errorf("%s is still in use: %w", root, err)
		if detach := unix.Unmount(root, unix.MNT_DETACH); detach != nil {
			return errors.Join(err, detach)
		}
	case err != nil:
		return fmt.Errorf("unmount %s: %w", root, err)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// sweep discards the clones in dir whose test is gone. Whatever goes wrong with
// one of them is no concern of the test that happens to come next.
func sweep(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), clonePrefix) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if held, err := hold(path); err == nil {
			_ = discard(path)
			held.Close()
		}
	}
}
