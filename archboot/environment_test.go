package archboot_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
	"golang.org/x/sys/unix"
)

// probeScript writes down what an install script sees, and leaves a process behind that
// nothing but its PID namespace ends.
const probeScript = `post_install() {
	mkdir /probe
	for ns in mnt pid ipc uts net; do readlink /proc/self/ns/$ns >/probe/$ns; done
	grep ^0:: /proc/self/cgroup >/probe/cgroup
	env | sort >/probe/env
	ls /dev >/probe/dev
	uname -n >/probe/hostname
	ls -d /proc/[0-9]* | wc -l >/probe/processes
	echo x 2>&1 >/sys/kernel/x | cat >/probe/sys
	grep -c . /proc/self/mountinfo >/probe/mounts
	setsid sh -c 'trap "" TERM HUP; while :; do sleep 1000; done' archboot-stays >/dev/null 2>&1 </dev/null &
}
`

// TestEnvironment looks at the world with the eyes of an install script.
func TestEnvironment(t *testing.T) {
	needRoot(t)
	m := archtest.NewMirror(t, archtest.Options{
		AddOns: []string{"bind", "nginx"}, CacheDir: os.Getenv("RIG_CACHE"),
		Packages: []alpm.Package{{Name: "probe", Version: "1-1", Depends: []string{"bash", "coreutils", "grep", "util-linux"}, Install: probeScript}},
	})
	t.Setenv("ARCHBOOT_SECRET", "of the caller")
	netns := newNetns(t)
	url, err := m.Listen(t.Context(), "127.0.0.1:8080", netns)
	if err != nil {
		t.Fatal(err)
	}
	c := configFor(m)
	for i := range c.Repositories {
		c.Repositories[i].Servers = []string{url + "/$repo/os/$arch"}
	}
	c.Packages, c.Services, c.Hostname, c.NetworkNamespace = []string{"probe"}, []string{}, "gw", netns
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	assertNoTrace(t, root, "")
	seen := func(name string) string {
		data, err := os.ReadFile(filepath.Join(root, "probe", name))
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(data))
	}
	for _, ns := range []string{"mnt", "pid", "ipc", "uts", "net"} {
		own, err := os.Readlink("/proc/self/ns/" + ns)
		if got := seen(ns); err != nil || got == own || !strings.HasPrefix(got, ns+":") {
			t.Errorf("namespace %s: %s, ours is %s", ns, got, own)
		}
	}
	if want, err := os.Readlink(netns); err != nil || seen("net") != want {
		t.Errorf("network namespace %s, want %s", seen("net"), want)
	}
	if got := seen("cgroup"); !strings.Contains(got, "/rig-archboot-") {
		t.Errorf("control group %q", got)
	}
	if got := seen("env"); strings.Contains(got, "ARCHBOOT_SECRET") || strings.Contains(got, "GOPATH") {
		t.Errorf("the caller's environment: %s", got)
	}
	if got := strings.Fields(seen("dev")); strings.Join(got, " ") != "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero" {
		t.Errorf("/dev holds %q", got)
	}
	if seen("hostname") != "gw" || seen("sys") == "" {
		t.Errorf("host name %q, writing to /sys: %q", seen("hostname"), seen("sys"))
	}
	// Its own, pacman, the pipe's reader, ls and wc; not the host's.
	if n := seen("processes"); len(n) > 1 {
		t.Errorf("%s processes are seen", n)
	}
	if left := running("archboot-stays"); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
	for _, path := range archboot.ForgottenCgroups() {
		t.Errorf("control group %s was left", path)
	}
}

// running lists the processes with a word among their arguments.
func running(word string) []string {
	var list []string
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), word) {
			list = append(list, file+": "+strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return list
}

// newNetns makes a network namespace in which only loopback is up, and returns its path.
func newNetns(t *testing.T) string {
	t.Helper()
	made := make(chan *os.File)
	go func() {
		f, err := unshareNet()
		if err != nil {
			t.Error(err)
		}
		made <- f
	}()
	f := <-made
	if f == nil {
		t.FailNow()
	}
	t.Cleanup(func() { f.Close() })
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
}

// unshareNet makes a network namespace on a thread of its own, which dies with it.
func unshareNet() (*os.File, error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the main thread cannot die
		defer runtime.UnlockOSThread()
		type result struct {
			f   *os.File
			err error
		}
		other := make(chan result)
		go func() {
			f, err := unshareNet()
			other <- result{f, err}
		}()
		r := <-other
		return r.f, r.err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	if err := loopbackUp(); err != nil {
		return nil, err
	}
	return os.Open("/proc/thread-self/ns/net")
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request)
}
