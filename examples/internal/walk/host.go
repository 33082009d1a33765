package walk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// hostLook lists all that a lab makes on a host, as the kernel has it.
func hostLook(ts *testscript.TestScript) string {
	var look []string
	add := func(kind string, items ...string) {
		for _, item := range items {
			look = append(look, kind+" "+item)
		}
	}
	links, err := netlink.LinkList()
	ts.Check(err)
	for _, l := range links {
		add("link", l.Attrs().Name)
	}
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		rules, err := exec.Command(program).Output()
		ts.Check(err)
		for line := range strings.Lines(string(rules)) {
			if !strings.HasPrefix(line, "#") {
				add(program, regexp.MustCompile(`\[\d+:\d+\]`).ReplaceAllString(strings.TrimSpace(line), ""))
			}
		}
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	ts.Check(err)
	add("ip_forward", string(forward))
	add("mount", mounts(ts)...)
	add("loop device of", loops(ts)...)
	add("cgroup", cgroups()...)
	add("process", processes(ts.Getenv("STATE"))...)
	add("file", files(ts.Getenv("STATE"), "/run/rig", "/var/lib/machines")...)
	return strings.Join(look, "\n")
}

func mounts(ts *testscript.TestScript) []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	ts.Check(err)
	var points []string
	for line := range strings.Lines(string(data)) {
		points = append(points, strings.Fields(line)[4])
	}
	return points
}

// loops lists the backing files below the test's directory; others are not ours.
func loops(ts *testscript.TestScript) []string {
	names, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	ts.Check(err)
	var list []string
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(file), filepath.Dir(ts.Getenv("STATE"))) {
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

// link add NAME [ADDRESS] makes a bridge that is not ours; link del NAME removes it.
func link(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: link add|del NAME [ADDRESS]")
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: args[1]}}
	if args[0] == "del" {
		ts.Check(netlink.LinkDel(bridge))
		return
	}
	ts.Check(netlink.LinkAdd(bridge))
	if len(args) > 2 {
		address, err := netlink.ParseAddr(args[2])
		ts.Check(err)
		ts.Check(netlink.AddrAdd(bridge, address))
	}
	ts.Check(netlink.LinkSetUp(bridge))
}

// world up puts a second host beyond an uplink of this one: 203.0.113.2, with a
// web server that answers with the address of whoever asks and knows no way back
// to any other network. world down removes both.
func world(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && args[0] == "up":
		ts.Check(worldUp())
	case !neg && len(args) == 1 && args[0] == "down":
		ts.Check(netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}}))
	default:
		ts.Fatalf("usage: world up|down")
	}
}

func worldUp() error {
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread and its namespace die with the server
		ready <- serveWorld()
		select {}
	}()
	if err := <-ready; err != nil {
		return err
	}
	return setUp("uplink", "203.0.113.1/24")
}

// serveWorld turns the calling thread's namespace into a new one, wires it to the
// old one and starts the server in it.
func serveWorld() error {
	old, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer old.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "world"}, PeerName: "uplink", PeerNamespace: netlink.NsFd(old.Fd())}
	if err := netlink.LinkAdd(veth); err != nil {
		return err
	}
	if err := setUp("world", "203.0.113.2/24"); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "203.0.113.2:80")
	if err != nil {
		return err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "you are", r.RemoteAddr)
	}))
	return nil
}

func setUp(name, address string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}
