package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace of a test's own.
type namespace struct {
	thread *thread
	file   *os.File
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: err}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		made <- result{f, err}
	}()
	r := <-made
	if r.err != nil {
		t.Skipf("cannot make network namespaces: %v", r.err)
	}
	ns := &namespace{file: r.file}
	th, err := startThread(ns.path())
	if err != nil {
		t.Fatal(err)
	}
	ns.thread = th
	t.Cleanup(func() {
		th.stop()
		r.file.Close()
	})
	// A picture must not differ by an address that has left its trial.
	ns.sh(t, "cd /proc/sys/net/ipv6/conf/default; echo 0 > accept_dad; echo 1 > addr_gen_mode; ip link set lo up")
	return ns
}

func (ns *namespace) path() string { return fmt.Sprintf("/proc/self/fd/%d", ns.file.Fd()) }

// do runs f on a thread of the namespace.
func (ns *namespace) do(t *testing.T, f func() error) {
	t.Helper()
	if err := ns.thread.do(context.Background(), f); err != nil {
		t.Fatal(err)
	}
}

// sh runs a shell script in the namespace and returns what it prints.
func (ns *namespace) sh(t *testing.T, script string) string {
	t.Helper()
	var out []byte
	ns.do(t, func() (err error) {
		out, err = exec.Command("sh", "-ec", script).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", script, err, out)
		}
		return err
	})
	return string(out)
}

// wire joins two namespaces by a pair of interfaces.
func wire(t *testing.T, a *namespace, aName string, b *namespace, bName string) {
	t.Helper()
	a.sh(t, fmt.Sprintf("ip link add %s type veth peer name %s netns /proc/%d/fd/%d", aName, bName, os.Getpid(), b.file.Fd()))
	a.sh(t, "ip link set "+aName+" up")
	b.sh(t, "ip link set "+bName+" up")
}

// open opens the namespace for the package under test.
func (ns *namespace) open(t *testing.T, stateDir string) *Host {
	t.Helper()
	h, err := Open(Options{Netns: ns.path(), StateDir: stateDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// local are the routes that the kernel makes of the host's IPv6 addresses, some
// time after it has answered that it has them.
var local = regexp.MustCompile(`(?m)^local [0-9a-f:]+ dev .* proto kernel .*\n`)

// picture is all that a test compares of a host before and after.
type picture struct {
	Links, Addresses, Routes, Rules, Chains string
	Sysctls                                 map[string]string
}

var counters = regexp.MustCompile(`\[\d+:\d+\]|(?m)^#.*$|counter packets \d+ bytes \d+`)

func (ns *namespace) picture(t *testing.T) picture {
	t.Helper()
	p := picture{
		Links:     ns.sh(t, "ip -d link show"),
		Addresses: ns.sh(t, "ip -o address show | sed 's/valid_lft.*//; s/ tentative//'"),
		Routes:    local.ReplaceAllString(ns.sh(t, "ip route show table all; ip -6 route show table all; ip rule; ip -6 rule"), ""),
		Rules:     strings.TrimSpace(counters.ReplaceAllString(ns.sh(t, "iptables-save; ip6tables-save"), "")),
		Chains:    counters.ReplaceAllString(ns.sh(t, "nft list ruleset 2>/dev/null"), ""),
		Sysctls:   make(map[string]string),
	}
	ns.do(t, func() error {
		return filepath.WalkDir("/proc/sys/net", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || volatile.MatchString(path) {
				return err
			}
			b, err := os.ReadFile(path)
			if err == nil {
				p.Sysctls[path] = strings.TrimSpace(string(b))
			} else if !errors.Is(err, fs.ErrPermission) {
				p.Sysctls[path] = err.Error()
			}
			return nil
		})
	})
	return p
}

// volatile are the settings that tests or the kernel change by themselves.
var volatile = regexp.MustCompile(`nf_conntrack_count|/random|stable_secret|/proc/sys/net/core|/tcp_mem|/udp_mem|fastopen_key`)

func (p picture) compare(t *testing.T, after picture) {
	t.Helper()
	if d := cmp.Diff(p, after); d != "" {
		t.Errorf("the host is not as it was before (-before +after):\n%s", d)
	}
}
