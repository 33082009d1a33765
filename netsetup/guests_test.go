package netsetup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/testexec"
)

// startIn starts a program in ns that is ended with the test, and returns what it
// prints.
func startIn(t *testing.T, ns *namespace, name string, args ...string) io.Reader {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("needs %s", name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	cmd := exec.CommandContext(ctx, path, args...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	ns.do(t, cmd.Start)
	in.Close()
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		out.Close()
	})
	return out
}

// serveDHCP runs a real server in ns, and returns once it is ready.
func serveDHCP(t *testing.T, ns *namespace, options ...string) {
	t.Helper()
	args := append([]string{"--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--log-dhcp", "--user=root", "--group=root",
		"--dhcp-leasefile=" + filepath.Join(t.TempDir(), "leases"), "--pid-file=", "--bind-interfaces", "--interface=host0"}, options...)
	said := bufio.NewScanner(startIn(t, ns, "dnsmasq", args...))
	for said.Scan() {
		if strings.Contains(said.Text(), "DHCP, sockets bound") {
			go io.Copy(io.Discard, onlyReader{said}) // ends with the server
			return
		}
	}
	t.Fatal("dnsmasq ended before it was ready")
}

// onlyReader drains a scanner.
type onlyReader struct{ *bufio.Scanner }

func (r onlyReader) Read([]byte) (int, error) {
	if !r.Scan() {
		return 0, io.EOF
	}
	return 1, nil
}

// TestDHCP has one machine serve another its address over the bridge: the one that
// belongs to the MAC that is derived from its name.
func TestDHCP(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Pairs = []Pair{{Machine: "client"}}
	h := l.host.open(t, l.state)
	l.apply(t, h)
	l.attach(t)
	mac := MAC(l.network.Bridge, "client").String()
	serveDHCP(t, l.machine, "--dhcp-range=10.0.0.100,10.0.0.120,1h", "--dhcp-host="+mac+",10.0.0.42", "--dhcp-option=3,10.0.0.1")
	client := newNamespace(t)
	l.host.sh(t, fmt.Sprintf("ip link set %s netns /proc/%d/fd/%d", l.network.Pairs[0].Local(), os.Getpid(), client.file.Fd()))
	script := filepath.Join(t.TempDir(), "lease")
	testexec.Write(t, script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && ip address add $ip/$mask dev $interface && ip route add default via $router\nexit 0\n"))
	udhcpc, err := exec.LookPath("udhcpc")
	if err != nil {
		t.Skip("needs udhcpc")
	}
	client.sh(t, "ip link set "+l.network.Pairs[0].Local()+" up; "+udhcpc+" -f -n -q -t 20 -T 1 -i "+l.network.Pairs[0].Local()+" -s "+script)
	if s := client.sh(t, "ip -4 -o address show"); !strings.Contains(s, "10.0.0.42/24") {
		t.Errorf("the lease is not the one for the machine's MAC %s:\n%s", mac, s)
	}
	if err := ping(t, client, worldAddr); err != nil {
		t.Error(err)
	}
	client.sh(t, "ip link delete "+l.network.Pairs[0].Local())
}

// TestVirtualMachine boots one on a tap: its firmware gets an address from a server in
// a machine, and fetches a file from another server beyond the uplink.
func TestVirtualMachine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("emulates a machine")
	}
	for _, rom := range []string{"/usr/lib/ipxe/qemu/pxe-e1000.rom", "/usr/share/qemu/pxe-e1000.rom", "/usr/share/qemu/efi-e1000.rom"} {
		if _, err := os.Stat(rom); err == nil {
			break
		} else if strings.Contains(rom, "efi") {
			t.Skip("needs iPXE for QEMU (ipxe-qemu)")
		}
	}
	l := newLab(t)
	l.network.Taps = []Tap{{Name: "vnet0"}}
	h := l.host.open(t, l.state)
	l.apply(t, h)
	checkVerified(t, h, l.network)
	l.attach(t)
	fetched := make(chan string, 8)
	serveHTTP(t, l.world, worldAddr+":80", func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		select {
		case fetched <- from + " " + r.URL.Path:
		default:
		}
		io.WriteString(w, "#!ipxe\necho got here\npoweroff\n")
	})
	serveDHCP(t, l.machine, "--dhcp-range=10.0.0.100,10.0.0.120,1h", "--dhcp-option=3,10.0.0.1", "--dhcp-boot=http://"+worldAddr+"/boot.ipxe")
	console := startIn(t, l.host, "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "128", "-display", "none", "-nodefaults", "-no-reboot",
		"-serial", "stdio", "-boot", "n", "-netdev", "tap,id=n,ifname=vnet0,script=no,downscript=no", "-device", "e1000,netdev=n")
	ended := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(console)
		ended <- string(text)
	}()
	select {
	case got := <-fetched:
		if got != hostAddr+" /boot.ipxe" {
			t.Errorf("the server beyond the uplink saw %q, want the host's address", got)
		}
	case text := <-ended:
		t.Errorf("the virtual machine ended before it fetched anything:\n%s", text)
	case <-t.Context().Done():
	}
}

func serveHTTP(t *testing.T, ns *namespace, addr string, handler http.HandlerFunc) {
	t.Helper()
	var l net.Listener
	ns.do(t, func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	s := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}
