package walk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// Look lists all that a lab with that state directory makes on a host, as the kernel
// has it, a line for each.
func Look(state string) ([]string, error) {
	var look []string
	add := func(kind string, items ...string) {
		for _, item := range items {
			look = append(look, kind+" "+item)
		}
	}
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		add("link", l.Attrs().Name)
	}
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		rules, err := rules(program)
		if err != nil {
			return nil, err
		}
		add(program, rules...)
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return nil, err
	}
	mounts, err := mounts()
	if err != nil {
		return nil, err
	}
	add("ip_forward", string(forward))
	add("mount", mounts...)
	add("loop device of", loops(filepath.Dir(state))...)
	add("cgroup", cgroups()...)
	add("process", processes(state)...)
	add("file", files(state, "/run/rig", "/var/lib/machines")...)
	return look, nil
}

// Left compares two looks at a host. It returns what is new since before, and what is
// gone but for mounts and control groups: these may be those of other tests, which come
// to their end.
func Left(before, after []string) (left, gone []string) {
	for _, line := range after {
		if !slices.Contains(before, line) {
			left = append(left, line)
		}
	}
	for _, line := range before {
		if !slices.Contains(after, line) && !strings.HasPrefix(line, "mount ") && !strings.HasPrefix(line, "cgroup ") {
			gone = append(gone, line)
		}
	}
	return left, gone
}

var counters = regexp.MustCompile(`\[\d+:\d+\]`)

func rules(program string) (list []string, err error) {
	rules, err := exec.Command(program).Output()
	for line := range strings.Lines(string(rules)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, counters.ReplaceAllString(strings.TrimSpace(line), ""))
		}
	}
	return list, err
}

func mounts() (points []string, err error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(data)) {
		points = append(points, strings.Fields(line)[4])
	}
	return points, err
}

// loops lists the backing files below a directory; others are not ours.
func loops(dir string) (list []string) {
	names, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(file), dir) {
			list = append(list, string(file))
		}
	}
	return list
}

// cgroups lists the control groups in which the machines of this sandbox run; those of others come and go meanwhile.
func cgroups() []string {
	var list []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if name := filepath.Base(filepath.Dir(path)); name == ownGroup() {
			list = append(list, path)
		}
		return nil
	})
	return list
}

// ownGroup is the name of the control group that the machines of this sandbox are in,
// as package nspawn derives it from where it keeps its records.
func ownGroup() string {
	var st unix.Stat_t
	if unix.Stat(nspawn.DefaultStateDir, &st) != nil {
		return "none yet"
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", nspawn.DefaultStateDir, st.Dev, st.Ino))
	return hex.EncodeToString(sum[:4])
}

// processes lists those that work on the lab.
func processes(state string) []string {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var list []string
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(line), state) {
			list = append(list, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return list
}

func files(dirs ...string) []string {
	var list []string
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				list = append(list, path)
			}
			return nil
		})
	}
	slices.Sort(list)
	return list
}
