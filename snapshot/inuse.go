package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// A user is what keeps a tree from being replaced.
type user struct {
	pid     int    // 0 for this process's own mount namespace
	program string // what the kernel calls the process
	how     string
}

func (u user) String() string {
	if u.pid == 0 {
		return u.how
	}
	return fmt.Sprintf("%s (PID %d), which has %s", u.program, u.pid, u.how)
}

// users prints as a list, cut where it gets long.
type users []user

func (us users) String() string {
	const most = 3
	var text []string
	for i, u := range us {
		if i == most {
			text = append(text, fmt.Sprintf("%d more", len(us)-most))
			break
		}
		text = append(text, u.String())
	}
	return strings.Join(text, ", ")
}

// usersOf finds the processes whose root is path or below it, and the mounts of it
// or below it, in every mount namespace. A machine has both: its tree is what is
// mounted on "/" in its own namespace, which is invisible from outside.
func usersOf(path string) (users, error) {
	own, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	home := mountOf(own, path)
	if home == nil {
		return nil, nil
	}
	us := mountUsers(own, home, path)
	for _, m := range own {
		if m.Mountpoint != path && below(m.Mountpoint, path) {
			us = append(us, user{how: "the mount on " + m.Mountpoint})
		}
	}
	others, err := processUsers(home, path)
	return append(us, others...), err
}

// mountOf is the mount through which path is seen, the topmost if several.
func mountOf(mounts []*mountinfo.Info, path string) *mountinfo.Info {
	var best *mountinfo.Info
	for _, m := range mounts {
		if below(path, m.Mountpoint) && (best == nil || len(m.Mountpoint) >= len(best.Mountpoint)) {
			best = m
		}
	}
	return best
}

// mountUsers lists the mounts, other than a volume's own, whose root is the tree at
// path or below it; home is the mount through which this process sees the tree.
func mountUsers(mounts []*mountinfo.Info, home *mountinfo.Info, path string) users {
	inFS := rootIn(home, path)
	var us users
	for _, m := range mounts {
		same := m.Major == home.Major && m.Minor == home.Minor
		if same && below(m.Root, inFS) && m.Mountpoint != path {
			us = append(us, user{how: "its mount on " + m.Mountpoint})
		}
	}
	return us
}

// rootIn is the path from the root of the file system that home is a mount of.
func rootIn(home *mountinfo.Info, path string) string {
	return filepath.Join(home.Root, strings.TrimPrefix(path, home.Mountpoint))
}

// processUsers looks at every process once and at every mount namespace once.
func processUsers(home *mountinfo.Info, path string) (users, error) {
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	self, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	// What any mount of the tree has in its line, so that most tables need no parsing.
	mark := rootIn(home, path)
	if i := strings.IndexAny(mark, " \t\n\\#"); i >= 0 {
		mark = mark[:i] // the table spells these otherwise
	}
	mark = fmt.Sprintf(" %d:%d %s", home.Major, home.Minor, mark)
	var us users
	seen := map[string]bool{self: true}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", p.Name())
		if root, err := os.Readlink(dir + "/root"); err == nil && root != "/" && below(root, path) {
			us = append(us, user{pid, programOf(dir), "its root there"})
		}
		ns, err := os.Readlink(dir + "/ns/mnt")
		if err != nil || seen[ns] { // gone, or a kernel thread
			continue
		}
		seen[ns] = true
		for _, u := range mountUsers(mountsOf(dir, mark), home, path) {
			us = append(us, user{pid, programOf(dir), u.how + " in its namespace"})
			break
		}
	}
	return us, nil
}

// mountsOf reads the mounts of a process, none if it is gone or no line has the mark.
func mountsOf(dir, mark string) []*mountinfo.Info {
	text, err := os.ReadFile(dir + "/mountinfo")
	if err != nil || !bytes.Contains(text, []byte(mark)) {
		return nil
	}
	mounts, err := mountinfo.GetMountsFromReader(bytes.NewReader(text), nil)
	if err != nil {
		return nil
	}
	return mounts
}

func programOf(dir string) string {
	name, err := os.ReadFile(dir + "/comm")
	if errors.Is(err, os.ErrNotExist) || err != nil {
		return "a process"
	}
	return strings.TrimSpace(string(name))
}

// below reports whether path is dir or lies below it, both clean and absolute.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
