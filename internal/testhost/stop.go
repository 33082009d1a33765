package testhost

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// killTimeout is how long the killed may take to be gone.
const killTimeout = 20 * time.Second

// stop ends the host and removes what is left of it, the lock that we hold
// included. The host is killed, not powered off: there is nothing on its disk
// that anyone will read, and a power-off takes longer and can hang.
func (h *Host) stop(ctx context.Context) error {
	if err := h.sweep(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return os.RemoveAll(h.state)
}

// sweep kills what runs of the host and removes what is left of it; before a
// boot, that is what a host left whose users were all killed. The disk's loop
// device goes with the mount namespace.
func (h *Host) sweep(ctx context.Context) error {
	group := h.cgroup()
	if group == "" {
		return nil // boot says so
	}
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	if err := errors.Join(group.kill(), group.empty(ctx)); err != nil {
		return err
	}
	err := group.remove()
	// The mount points of a killed nspawn. Even one that ends by itself leaves the
	// first where /run is on disk.
	for _, name := range []string{"propagate", "unix-export"} {
		err = errors.Join(err, remove(filepath.Join("/run/systemd/nspawn", name, h.name)))
	}
	for _, name := range []string{"host.json", "keep", "console.log", "disk.img", "root"} {
		err = errors.Join(err, remove(h.path(name)))
	}
	return errors.Join(err, os.RemoveAll(h.path("ports")))
}

// remove is os.Remove that takes absence for success.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
