package testroot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/tempdir"
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
	// Whatever goes wrong with one of them is no concern of the test that comes next.
	_ = tempdir.Sweep(clonePrefix, discard)
	dir, root, err := clone(lower)
	if err != nil {
		t.Fatal(&Error{Op: "clone", Suite: suite, Err: err})
	}
	t.Cleanup(func() {
		if err := errors.Join(discard(dir.Path), dir.Remove()); err != nil {
			t.Error(&Error{Op: "clone", Suite: suite, Err: err})
		}
	})
	return root
}

const clonePrefix = "rig-testroot-"

// clone makes dir/root.
func clone(lower string) (dir *tempdir.Dir, root string, err error) {
	dir, err = tempdir.Make(clonePrefix)
	if err != nil {
		return nil, "", err
	}
	root = filepath.Join(dir.Path, "root")
	// A machine runs as many users: everybody has to get through to its root.
	if err := os.Chmod(dir.Path, 0o755); err != nil {
		return nil, "", errors.Join(err, dir.Remove())
	}
	if err := overlay(dir.Path, root, lower); err == nil {
		return dir, root, nil
	}
	if out, err := exec.Command("cp", "-a", "--reflink=auto", "-T", lower, root).CombinedOutput(); err != nil {
		return nil, "", errors.Join(fmt.Errorf("cp: %w: %s", err, out), dir.Remove())
	}
	return dir, root, nil
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
