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
		show := h.show
		if h.cfg.VM {
			show = h.showLater
		}
		if err := show(dir); err != nil {
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

// showLater leaves it to the next command of a virtual host, which finds there what
// is visible below shared.
func (h *Host) showLater(dir string) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.visible, dir) {
		h.visible = append(h.visible, dir)
	}
	return nil
}

// showShared makes directories visible in the virtual host that we are in.
func showShared(dirs []string) error {
	for _, dir := range dirs {
		from, err := os.Stat(shared + dir)
		if err != nil {
			return err
		}
		if there, err := os.Stat(dir); err == nil && os.SameFile(from, there) {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(shared+dir, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show %s: %w", dir, err)
		}
	}
	return nil
}
