package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup is a control group of the unified (version 2) hierarchy, as the path
// of its directory. Every machine gets one of its own: with --keep-unit, nspawn
// makes the machine's below the one it is started in, and two machines started
// from the same one would share it, services and all.
type cgroup string

// unifiedPlaces are where the version 2 hierarchy may be mounted.
var unifiedPlaces = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// unifiedMount finds where the version 2 hierarchy is mounted: at its place, or
// beside version 1 where the host has both.
func unifiedMount() (string, error) {
	for _, dir := range unifiedPlaces {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return dir, nil
		}
	}
	return "", &Error{Op: "find the unified cgroup hierarchy", Err: ErrNotSupported,
		Hint: "mount -t cgroup2 none /sys/fs/cgroup/unified"}
}

// at is a control group whose path was written down in another view of the host, where
// the hierarchy may be mounted at the other place, as it is where it is at mount.
func (g cgroup) at(mount string) cgroup {
	for _, place := range slices.Backward(unifiedPlaces) {
		if rest, below := strings.CutPrefix(string(g), place+"/"); below {
			return cgroup(mount).child(rest)
		}
	}
	return g
}

// make creates the control group and those above it, which the end of another
// machine may take away meanwhile.
func (g cgroup) make() (err error) {
	for range 100 {
		if err = os.MkdirAll(string(g), 0o755); !isGone(err) {
			return err
		}
	}
	return err
}

// child names a control group directly below.
func (g cgroup) child(name string) cgroup { return cgroup(filepath.Join(string(g), name)) }

// write sets one of the control group's files.
func (g cgroup) write(file, value string) error {
	f, err := os.OpenFile(filepath.Join(string(g), file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// event reads one field of cgroup.events.
func (g cgroup) event(name string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(string(g), "cgroup.events"))
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			return value == "1", nil
		}
	}
	return false, fmt.Errorf("%s/cgroup.events: no %q in it", g, name)
}

// processes lists those in it and below.
func (g cgroup) processes() (pids []int) {
	_ = filepath.WalkDir(string(g), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil // it goes at this moment
		}
		data, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for _, field := range strings.Fields(string(data)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// kill sends SIGKILL to every process in it and below, frozen or not, and none
// that is forked meanwhile escapes.
func (g cgroup) kill() error {
	err := g.write("cgroup.kill", "1")
	if isGone(err) {
		return nil
	}
	return err
}

// isGone reports whether an error tells that there is no such control group: one that
// is removed between open and what follows is ENODEV.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV)
}

// await blocks until a field of cgroup.events has the value wanted, or no process
// is left in the control group, or the context has ended.
func (g cgroup) await(ctx context.Context, name string, want bool) error {
	events, err := os.Open(filepath.Join(string(g), "cgroup.events"))
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer events.Close()
	r, w, err := os.Pipe() // closing it wakes the poll
	if err != nil {
		return err
	}
	defer r.Close()
	end := sync.OnceFunc(func() { w.Close() })
	defer end()
	defer context.AfterFunc(ctx, end)()
	buf := make([]byte, 256)
	for {
		n, err := unix.Pread(int(events.Fd()), buf, 0)
		if err != nil {
			return nil // removed: ENODEV
		}
		text := string(buf[:n])
		if strings.Contains(text, name+" 1") == want || strings.Contains(text, "populated 0") {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		poll := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}, {Fd: int32(r.Fd())}}
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return err
		}
	}
}

// remove kills what is left in the control group, waits for its end, and
// removes the tree depth first.
func (g cgroup) remove(ctx context.Context) error {
	if err := g.kill(); err != nil {
		return err
	}
	if err := g.await(ctx, "populated", false); err != nil {
		return fmt.Errorf("processes survive in %s: %w", g, err)
	}
	return backoff(ctx, g.removeTree)
}

func (g cgroup) removeTree() error {
	entries, err := os.ReadDir(string(g))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := g.child(entry.Name()).removeTree(); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(string(g)); err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "rmdir", Path: string(g), Err: err}
	}
	return nil
}

// removeEmptyParents removes the two control groups above, which machines of one
// state directory and of all share, where no machine is left in them.
func (g cgroup) removeEmptyParents() {
	for range 2 {
		if g = cgroup(filepath.Dir(string(g))); unix.Rmdir(string(g)) != nil {
			return
		}
	}
}

// backoff repeats what the kernel refuses only for a moment: a control group
// whose last process is still being buried is busy, and no event tells the end.
func backoff(ctx context.Context, try func() error) error {
	for delay := time.Millisecond; ; delay = min(2*delay, 100*time.Millisecond) {
		err := try()
		if !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(delay):
		}
	}
}

// limit applies the bounds, each by its controller.
func (g cgroup) limit(mount string, limits Limits) error {
	settings := []struct {
		asked                   bool
		controller, file, value string
	}{
		{limits.Memory > 0, "memory", "memory.max", strconv.FormatUint(limits.Memory, 10)},
		{limits.CPUs > 0, "cpu", "cpu.max", fmt.Sprintf("%d 100000", limits.cpuTime(100000))},
		{limits.Tasks > 0, "pids", "pids.max", strconv.FormatUint(limits.Tasks, 10)},
	}
	for _, s := range settings {
		if !s.asked {
			continue
		}
		if err := g.enable(mount, s.controller); err != nil {
			return err
		}
		if err := g.write(s.file, s.value); err != nil {
			return err
		}
	}
	return nil
}

// enable hands a controller down from the top to this control group.
func (g cgroup) enable(mount, controller string) error {
	top := cgroup(mount)
	available, err := os.ReadFile(filepath.Join(mount, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if !slices.Contains(strings.Fields(string(available)), controller) {
		return &Error{Op: "limit " + controller, Err: ErrNotSupported,
			Hint: "the controller is bound to cgroup version 1; boot with systemd.unified_cgroup_hierarchy=1"}
	}
	relative, err := filepath.Rel(mount, string(g))
	if err != nil {
		return err
	}
	for _, name := range strings.Split(relative, "/") {
		if err := top.write("cgroup.subtree_control", "+"+controller); err != nil {
			return fmt.Errorf("hand %s down from %s: %w", controller, top, err)
		}
		top = top.child(name)
	}
	return nil
}
