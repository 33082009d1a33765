package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

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

// A processSearch looks at every process once and at every mount namespace once, on all
// processors.
type processSearch struct {
	home *mountinfo.Info
	path string
	mark string // what any mount of the tree has in its line: most tables need no parsing

	mu    sync.Mutex
	pids  []int
	seen  map[string]bool // mount namespaces
	found users
}

func processUsers(home *mountinfo.Info, path string) (users, error) {
	self, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	s := &processSearch{home: home, path: path, mark: markOf(home, path), seen: map[string]bool{self: true}}
	procs, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	names, err := procs.Readdirnames(-1)
	if err := errors.Join(err, procs.Close()); err != nil {
		return nil, err
	}
	kernel := kernelThreads()
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && !kernel[name] {
			s.pids = append(s.pids, pid)
		}
	}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(s.work)
	}
	workers.Wait()
	slices.SortFunc(s.found, func(a, b user) int { return a.pid - b.pid })
	return s.found, nil
}

// kernelThreads are the children of kthreadd, of which there are many, and none uses a
// tree. Where the kernel does not list children it is an empty set.
func kernelThreads() map[string]bool {
	text, _ := os.ReadFile("/proc/2/task/2/children")
	comm, _ := os.ReadFile("/proc/2/comm")
	threads := map[string]bool{}
	if string(comm) == "kthreadd\n" { // as it is outside of any PID namespace
		for _, pid := range strings.Fields(string(text)) {
			threads[pid] = true
		}
	}
	return threads
}

func markOf(home *mountinfo.Info, path string) string {
	mark := rootIn(home, path)
	if i := strings.IndexAny(mark, " \t\n\\#"); i >= 0 {
		mark = mark[:i] // the table spells these otherwise
	}
	return fmt.Sprintf(" %d:%d %s", home.Major, home.Minor, mark)
}

func (s *processSearch) work() {
	for {
		s.mu.Lock()
		if len(s.pids) == 0 {
			s.mu.Unlock()
			return
		}
		pid := s.pids[len(s.pids)-1]
		s.pids = s.pids[:len(s.pids)-1]
		s.mu.Unlock()
		s.process(pid)
	}
}

func (s *processSearch) process(pid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	if root, err := os.Readlink(dir + "/root"); err == nil && root != "/" && below(root, s.path) {
		s.add(user{pid, programOf(dir), "its root there"})
	}
	ns, err := os.Readlink(dir + "/ns/mnt")
	if err != nil || s.met(ns) { // gone, or a kernel thread
		return
	}
	if us := mountUsers(mountsOf(dir, s.mark), s.home, s.path); len(us) > 0 {
		s.add(user{pid, programOf(dir), us[0].how + " in its namespace"})
	}
}

func (s *processSearch) met(ns string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.seen[ns]
	s.seen[ns] = true
	return before
}

func (s *processSearch) add(u user) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, u)
}

// mountsOf reads the mounts of a process, none if it is gone or no line has the mark.
func mountsOf(dir, mark string) []*mountinfo.Info {
	f, err := os.Open(dir + "/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var text bytes.Buffer
	text.Grow(16 << 10) // a file of the kernel's has no size to go by
	if _, err := text.ReadFrom(f); err != nil || !bytes.Contains(text.Bytes(), []byte(mark)) {
		return nil
	}
	mounts, err := mountinfo.GetMountsFromReader(&text, nil)
	if err != nil {
		return nil
	}
	return mounts
}

func programOf(dir string) string {
	name, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return "a process"
	}
	return strings.TrimSpace(string(name))
}

// below reports whether path is dir or lies below it, both clean and absolute.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
