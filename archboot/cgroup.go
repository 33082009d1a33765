package archboot

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// A cgroup is a control group of the version 2 hierarchy below this process's own.
// Whoever made it holds a lock on it for as long as it lives.
type cgroup struct {
	path string
	dir  *os.File
}

// cgroupPrefix is how the names of our control groups begin. As many letters and
// digits follow as cgroupPattern has, so that no other's is taken for one of ours.
const cgroupPrefix = "rig-archboot-"

// cgroupPattern is what the names of our control groups match.
var cgroupPattern = cgroupPrefix + strings.Repeat("[A-Z2-7]", 12)

// newCgroup makes a control group, and removes those of processes that were killed.
func newCgroup() (*cgroup, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	sweepCgroups(own)
	for {
		path := filepath.Join(own, cgroupPrefix+rand.Text()[:12])
		if err := os.Mkdir(path, 0o755); err != nil {
			return nil, err
		}
		c, err := lockCgroup(path)
		if err == nil {
			return c, nil
		}
		// Another process may have taken it for one that was left, and removed it.
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, os.Remove(path))
		}
	}
}

// lockCgroup opens a control group that nobody else holds.
func lockCgroup(path string) (*cgroup, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return &cgroup{path, dir}, nil
}

// sweepCgroups removes what killed processes left: their control groups are empty,
// since the PID namespaces that had been in them died too.
func sweepCgroups(parent string) {
	left, _ := fs.Glob(os.DirFS(parent), cgroupPattern)
	for _, name := range left {
		if c, err := lockCgroup(filepath.Join(parent, name)); err == nil {
			_ = c.remove() // best effort: the next one tries again
		}
	}
}

// ownCgroup finds the directory of this process's control group.
func ownCgroup() (string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return cgroupDir(path)
		}
	}
	return "", errors.New("no cgroup v2 hierarchy")
}

// cgroupDir is where a control group is mounted.
func cgroupDir(path string) (string, error) {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup2"))
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if rest, ok := strings.CutPrefix(path+"/", strings.TrimSuffix(m.Root, "/")+"/"); ok {
			return filepath.Join(m.Mountpoint, rest), nil
		}
	}
	return "", errors.New("cgroup v2 is not mounted")
}

// remove kills what is left in the control group and removes it. A process that has
// been reaped counts for a moment longer.
func (c *cgroup) remove() error {
	defer unlock(c.dir)
	err := os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENODEV) { // Linux before 5.14 has none
		return err
	}
	events, err := os.Open(filepath.Join(c.path, "cgroup.events"))
	if err != nil {
		return err
	}
	defer events.Close()
	for until := time.Now().Add(cgroupLinger); ; {
		_, _ = events.ReadAt(make([]byte, 256), 0) // arms the poll
		err := unix.Rmdir(c.path)
		if err != unix.EBUSY || time.Now().After(until) {
			return os.NewSyscallError("rmdir "+c.path, err)
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, 100)
	}
}

// cgroupLinger bounds the wait for the last process to leave.
const cgroupLinger = 10 * time.Second
