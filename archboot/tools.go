package archboot

import (
	"fmt"
	"os"

	"github.com/prologin/rig/internal/intree"
	"golang.org/x/sys/unix"
)

// Where the tools' pacman finds the root and the package cache.
const (
	toolsMount = "/mnt"
	toolsCache = "/var/cache/pacman/pkg"
)

// nameServices gives the tools the host's way of looking up names.
func nameServices(tools string) error {
	t, err := openTree(tools)
	if err != nil {
		return err
	}
	defer t.Close()
	for _, name := range []string{"/etc/resolv.conf", "/etc/hosts"} {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // this host has none, and nor will they
		}
		if err := t.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bindTools mounts the root, with all that is mounted in it, into the tools, and
// the package cache. It runs on the chamber's thread, where no path through
// /proc/self works, hence the calls by descriptor.
func (c *chamber) bindTools(tools, cache string) error {
	return c.do(func() error {
		root, err := openTree(c.root)
		if err != nil {
			return err
		}
		defer root.Close()
		in, err := openTree(tools)
		if err != nil {
			return err
		}
		defer in.Close()
		for _, dir := range []string{"/dev", "/proc", "/sys", "/tmp"} {
			from, _, err := root.Parent(dir + "/x")
			if err != nil {
				return err
			}
			err = bindTo(in, dir, int(from.Fd()), "")
			from.Close()
			if err != nil {
				return err
			}
		}
		if cache != "" {
			if err := bindTo(in, toolsCache, unix.AT_FDCWD, cache); err != nil {
				return err
			}
		}
		return bindTo(in, toolsMount, unix.AT_FDCWD, c.root)
	})
}

// bindTo mounts a copy of what is mounted at a place on a directory of the tree.
func bindTo(t *intree.Tree, dir string, from int, path string) error {
	if err := t.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	target, _, err := t.Parent(dir + "/x")
	if err != nil {
		return err
	}
	defer target.Close()
	tree, err := cloneMounts(from, path)
	if err != nil {
		return fmt.Errorf("mount on %s: %w", dir, err)
	}
	defer unix.Close(tree)
	err = unix.MoveMount(tree, "", int(target.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("mount on %s: %w", dir, err)
	}
	return nil
}
