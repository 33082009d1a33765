package testhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup is the path of a control group of version 2. Every process of a host is
// in its group or below: killing it and removing it is all there is to sweep.
type cgroup string

func (h *Host) cgroup() cgroup {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(root, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return cgroup(filepath.Join(root, h.name))
		}
	}
	return ""
}

// create makes the group and opens it.
func (g cgroup) create() (*os.File, error) {
	if g == "" {
		return nil, fmt.Errorf("no cgroup v2 at /sys/fs/cgroup or /sys/fs/cgroup/unified: %w", ErrNotSupported)
	}
	if err := os.Mkdir(string(g), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.Open(string(g))
}

// kill ends every process in the group and below.
func (g cgroup) kill() error {
	err := os.WriteFile(filepath.Join(string(g), "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil // no such group: nothing to kill
	}
	return err
}

// empty waits until no process is left in the group and below. The kernel tells
// of a change of cgroup.events by POLLPRI, cgroups(7).
func (g cgroup) empty(ctx context.Context) error {
	events, err := os.Open(filepath.Join(string(g), "cgroup.events"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer events.Close()
	buf := make([]byte, 256)
	for {
		n, err := events.ReadAt(buf, 0)
		if n == 0 {
			return err
		}
		if slices.Contains(strings.Split(string(buf[:n]), "\n"), "populated 0") {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("processes are left in %s: %w", g, context.Cause(ctx))
		}
		poll := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}
		if _, err := unix.Poll(poll, int((100 * time.Millisecond).Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// remove removes the group and those below it, which must be empty.
func (g cgroup) remove() error {
	var groups []string
	err := filepath.WalkDir(string(g), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			groups = append(groups, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for _, path := range slices.Backward(groups) {
		if rm := os.Remove(path); !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, rm)
		}
	}
	return err
}
