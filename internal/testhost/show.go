package testhost

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Show makes directories visible in the host under the same paths, writable,
// until it ends. One that is visible is left as it is; "" and directories of the
// system are skipped.
func (h *Host) Show(dirs ...string) error {
	for _, dir := range dirs {
		if dir == "" || isSystem(dir) {
			continue
		}
		if err := h.show(dir); err != nil {
			return h.wrap("show", fmt.Errorf("%s: %w", dir, err))
		}
	}
	return nil
}

// isSystem tells directories of which the host has its own. They have to stay.
func isSystem(dir string) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(dir, "/"), "/")
	return slices.Contains([]string{"", "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr"}, top)
}

// show carries a detached copy of the mount over, as the host's mount namespace
// has no way to name our directory.
func (h *Host) show(dir string) error {
	here, err := os.Stat(dir)
	if err != nil {
		return err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)
	return h.inside(func() error {
		if there, err := os.Stat(dir); err == nil && os.SameFile(here, there) {
			return nil
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.MoveMount(tree, "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("move_mount: %w", err)
		}
		return nil
	})
}
