package testhost_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
)

// TestInHost runs the tests that need a host in one, as go test -exec would.
func TestInHost(t *testing.T) {
	t.Parallel()
	testroot.Debian(t, testroot.Trixie) // the host has no network to make one with
	host := acquire(t, config(t))
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Show(testroot.CacheDir(), filepath.Dir(binary)); err != nil {
		t.Fatal(err)
	}
	out, err := output(host, "/usr/bin/env", "RIG_TESTHOST=trixie", "RIG_CACHE="+testroot.CacheDir(),
		"PATH="+os.Getenv("PATH")+":/usr/sbin:/usr/bin:/sbin:/bin", binary, "-test.v", "-test.run=^TestNested$")
	t.Log(out)
	if err != nil || !strings.Contains(out, "--- PASS: TestNested") {
		t.Errorf("in the host: %v", err)
	}
	if err := host.Release(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestNested starts a machine in the host in all the ways that ours will be
// compared with: machinectl, a zone, networkd's address and NAT, systemd-run.
func TestNested(t *testing.T) {
	testhost.Require(t)
	const name, zone = "thnested", "thzone"
	if state := command(t, "systemctl", "is-system-running"); state != "running" {
		t.Fatalf("the host is %s:\n%s", state, command(t, "systemctl", "--failed", "--no-pager"))
	}
	root := testroot.Clone(t, testroot.Trixie)
	write(t, filepath.Join(root, "etc/systemd/network/10-host0.network"),
		"[Match]\nName=host0\n[Network]\nAddress=10.44.0.2/24\nGateway=10.44.0.1\n")
	write(t, "/etc/systemd/network/10-thzone.network",
		"[Match]\nName=vz-thzone\n[Network]\nAddress=10.44.0.1/24\nIPMasquerade=ipv4\n")
	write(t, "/etc/systemd/nspawn/thnested.nspawn", "[Exec]\nPrivateUsers=no\nNotifyReady=yes\n[Network]\nZone=thzone\n")
	bind(t, root, "/var/lib/machines/"+name)
	command(t, "networkctl", "reload")
	command(t, "machinectl", "start", name)
	t.Cleanup(func() {
		command(t, "machinectl", "terminate", name)
		eventually(t, "the machine is gone", func() error {
			if exec.Command("systemctl", "--quiet", "is-active", "systemd-nspawn@"+name).Run() == nil {
				return errors.New("still active")
			}
			return nil
		})
	})

	t.Run("registered", func(t *testing.T) {
		if list := command(t, "machinectl", "list", "--no-legend"); !strings.Contains(list, name) {
			t.Errorf("machinectl list: %q", list)
		}
	})
	t.Run("links", func(t *testing.T) {
		for _, link := range []string{"vz-" + zone, "vb-" + name} {
			if _, err := net.InterfaceByName(link); err != nil {
				t.Errorf("%s: %v", link, err)
			}
		}
	})
	t.Run("exit status", func(t *testing.T) { nestedExit(t, name) })
	t.Run("shell", func(t *testing.T) {
		if out := command(t, "machinectl", "shell", name, "/bin/echo", "hello"); !strings.Contains(out, "hello") {
			t.Errorf("machinectl shell: %q", out)
		}
	})
	t.Run("network", func(t *testing.T) {
		eventually(t, "host0 has its address", func() error {
			return exec.Command("systemd-run", "-q", "-M", name, "--wait", "--collect",
				"/bin/sh", "-c", "ip -4 address show host0 | grep -q 10.44.0.2/24").Run()
		})
		command(t, "ping", "-c1", "-W5", "10.44.0.2")
		if rules := command(t, "nft", "list", "table", "ip", "io.systemd.nat"); !strings.Contains(rules, "10.44.0.0/24") {
			t.Errorf("networkd masquerades:\n%s", rules)
		}
	})
	t.Run("masquerade", func(t *testing.T) { nestedMasquerade(t, name) })
}

// nestedMasquerade lets the machine connect to a namespace beyond the host that
// has no route back to it.
func nestedMasquerade(t *testing.T, name string) {
	command(t, "ip", "netns", "add", "thoutside")
	t.Cleanup(func() { command(t, "ip", "netns", "delete", "thoutside") })
	for _, args := range []string{
		"link add thout type veth peer name eth0 netns thoutside",
		"address add 203.0.113.1/24 dev thout",
		"link set thout up",
		"-n thoutside address add 203.0.113.2/24 dev eth0",
		"-n thoutside link set eth0 up",
	} {
		command(t, "ip", strings.Fields(args)...)
	}
	server := listenIn(t, "/run/netns/thoutside", "203.0.113.2:9000")
	from := make(chan string, 1)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			from <- err.Error()
			return
		}
		defer conn.Close()
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		from <- host
	}()
	command(t, "systemd-run", "-q", "-M", name, "--wait", "--collect",
		"/usr/bin/timeout", "20", "/bin/bash", "-c", "echo hello >/dev/tcp/203.0.113.2/9000")
	server.Close()
	if got := <-from; got != "203.0.113.1" {
		t.Errorf("the outside was reached from %s, want the host's address", got)
	}
}

// listenIn listens in another network namespace. A socket stays in the one that
// it was made in.
func listenIn(t *testing.T, netns, address string) net.Listener {
	t.Helper()
	ns, err := os.Open(netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var server net.Listener
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		server, err = net.Listen("tcp", address)
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func nestedExit(t *testing.T, name string) {
	for _, want := range []int{0, 1, 42, 255} {
		cmd := exec.Command("systemd-run", "-q", "-M", name, "--pipe", "--wait", "--collect",
			"/bin/sh", "-c", fmt.Sprintf("hostname; exit %d", want))
		out, err := cmd.Output()
		if got := cmd.ProcessState.ExitCode(); got != want || string(out) != name+"\n" {
			t.Errorf("exit %d came out as %d, %v, with output %q", want, got, err, out)
		}
	}
}

// command runs a program of the host and returns its output.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// write makes a file for the time of the test.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
}

// bind mounts a tree at another place for the time of the test.
func bind(t *testing.T, tree, at string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(at, 0o755), unix.Mount(tree, at, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(unix.Unmount(at, 0), os.Remove(at)); err != nil {
			t.Error(err)
		}
	})
}

// eventually retries until nil comes back, for half a minute.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Errorf("not within half a minute: %s: %v", what, err)
}
