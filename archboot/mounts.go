package archboot

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// confine makes everything read-only but the root and the package cache: the host's pacman
// takes an absolute symlink in a root for one of the host's, and whoever can write to the root
// could lead it anywhere.
//
// They become mount points by that, where pacman looks to see how much space is left. In a
// chroot there may be none.
func (c *chamber) confine() error {
	type mount struct {
		tree int
		path string
	}
	var writable []mount
	defer func() {
		for _, m := range writable {
			unix.Close(m.tree)
		}
	}()
	for _, path := range []string{c.root, c.cache} {
		if path == "" {
			continue
		}
		tree, err := cloneMounts(unix.AT_FDCWD, path)
		if err != nil {
			return err
		}
		writable = append(writable, mount{tree, path})
	}
	if err := changeMounts(&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("make the host read-only: %w", err)
	}
	for _, m := range writable {
		if err := unix.MoveMount(m.tree, "", unix.AT_FDCWD, m.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount on %s: %w", m.path, err)
		}
	}
	return nil
}

// cloneMounts returns a copy of what is mounted at a path and below, mounted nowhere. An
// empty path stands for the descriptor itself.
func cloneMounts(from int, path string) (tree int, err error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	tree, err = unix.OpenTree(from, path, flags)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: path, Err: err}
	}
	return tree, nil
}

// changeMounts changes all mounts of the thread's namespace. In a chroot(2), "/" need not be
// a mount point, and then the kernel refuses to change it: so go to the top of the namespace
// and come back, as setns(2) into one's own mount namespace leads out of the chroot.
func changeMounts(attr *unix.MountAttr) error {
	change := func() error {
		return os.NewSyscallError("mount_setattr", unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, attr))
	}
	err := change()
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	here, err := os.Open("/")
	if err != nil {
		return err
	}
	defer here.Close()
	own, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer own.Close()
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNS); err != nil {
		return err
	}
	return errors.Join(change(), unix.Fchdir(int(here.Fd())), unix.Chroot("."))
}
