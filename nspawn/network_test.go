package nspawn_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// netns is a network namespace that a test has to itself.
type netns struct {
	t    testing.TB
	path string
	run  chan func()
}

func newNetns(t testing.TB) *netns {
	t.Helper()
	privileged(t)
	n := &netns{t: t, run: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the test
		err := unix.Unshare(unix.CLONE_NEWNET)
		n.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		ready <- err
		for f := range n.run {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.run) })
	n.sh("ip link set lo up")
	return n
}

// sh runs a script in the namespace and returns what it printed.
func (n *netns) sh(script string) string {
	n.t.Helper()
	var out []byte
	var err error
	done := make(chan struct{})
	n.run <- func() {
		defer close(done)
		out, err = exec.Command("sh", "-ec", script).CombinedOutput()
	}
	<-done
	if err != nil {
		n.t.Fatalf("%s: %v: %s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// networkTest has the namespace in which all machines are wired.
type networkTest struct {
	*netns
	host *nspawn.Host
	ctx  context.Context
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	ns := newNetns(t)
	n := &networkTest{ns, openHost(t, nspawn.HostOptions{Netns: ns.path}), testContext(t)}
	n.sh("ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0; ip link set br0 up; ip link add wan0 type dummy 2>/dev/null || ip link add wan0 type veth peer name wan1; ip netns list >/dev/null")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *networkTest)
	}{
		{"none", testNoNetwork},
		{"bridge", testBridge},
		{"zone", testZone},
		{"veth, extra and moved", testPairs},
		{"ports", testPorts},
		{"existing namespace", testNamespace},
		{"host", testHostNetwork},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, n) })
	}
}

func testNoNetwork(t *testing.T, n *networkTest) {
	m := boot(t, n.host, nspawn.Config{Name: "none"})
	if got := shell(t, m, "ls /sys/class/net | tr '\\n' ' '; ip -o link | wc -l"); !strings.HasSuffix(got, "1") {
		t.Errorf("interfaces: %s", got)
	}
	if addresses, err := m.Addresses(n.ctx); err != nil || len(addresses) != 0 {
		t.Errorf("Addresses: %v, %v", addresses, err)
	}
}

func testBridge(t *testing.T, n *networkTest) {
	mac := []byte{2, 0, 0, 9, 9, 9}
	m := boot(t, n.host, nspawn.Config{Name: "bridged", Network: nspawn.Network{Bridge: "br0", MAC: mac}})
	if got := shell(t, m, "ip addr add 10.9.0.2/24 dev host0; ip link set host0 up; ip -o link show host0"); !strings.Contains(got, "02:00:00:09:09:09") {
		t.Errorf("host0: %s", got)
	}
	n.sh("ip link set vb-bridged up; bridge link | grep -q 'vb-bridged.*master br0'; ping -c1 -W5 10.9.0.2 || arping -c1 10.9.0.2")
	want := netip.MustParseAddr("10.9.0.2")
	if addresses, err := m.Addresses(n.ctx); err != nil || !slices.Contains(addresses, want) {
		t.Errorf("Addresses: %v, %v", addresses, err)
	}
	if err := m.Kill(n.ctx); err != nil {
		t.Error(err)
	}
	again := boot(t, n.host, nspawn.Config{Name: "bridged", Network: nspawn.Network{Bridge: "br0"}})
	again.Stop(n.ctx)
}

func testZone(t *testing.T, n *networkTest) {
	zone := nspawn.Network{Zone: "labzone"}
	one := boot(t, n.host, nspawn.Config{Name: "one", Network: zone})
	two := boot(t, n.host, nspawn.Config{Name: "two-with-quite-a-long-name.prolo", Network: zone})
	if got := n.sh("bridge link | grep -c 'master vz-labzone'"); got != "2" {
		t.Errorf("%s machines on the bridge", got)
	}
	one.Stop(n.ctx)
	n.sh("ip link show vz-labzone")
	two.Kill(n.ctx)
	if got := n.sh("ip -o link"); strings.Contains(got, "vz-") || strings.Contains(got, "vb-") {
		t.Errorf("left: %s", got)
	}
}

func testPairs(t *testing.T, n *networkTest) {
	host := openHost(t, nspawn.HostOptions{Netns: n.path, Launcher: nspawn.LauncherDirect})
	m := boot(t, host, nspawn.Config{Name: "pairs", Network: nspawn.Network{
		Veth: true, Interfaces: []string{"wan0"}, Extra: []nspawn.Veth{{Host: "lan.host", Machine: "lan0"}},
	}})
	shell(t, m, "ip link show host0; ip link show wan0; ip link show lan0")
	n.sh("ip link show ve-pairs; ip link show lan.host")
	m.Stop(n.ctx)
	if got := n.sh("ip -o link"); strings.Contains(got, "ve-pairs") || strings.Contains(got, "lan.host") {
		t.Errorf("left: %s", got)
	}
}

func testPorts(t *testing.T, n *networkTest) {
	m := boot(t, n.host, nspawn.Config{Name: "ported", Network: nspawn.Network{Bridge: "br0", Ports: []nspawn.Port{{Host: 8080, Machine: 80}}}})
	serve := m.Command(n.ctx, "perl", "-MSocket", "-e", `socket S, PF_INET, SOCK_STREAM, 0; bind S, sockaddr_in(80, INADDR_ANY); listen S, 5;
		while (accept C, S) { while (<C>) { last if /^\r?$/ } print C "HTTP/1.0 200 OK\r\n\r\nforwarded"; close C }`)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	if err := m.WaitPort(n.ctx, "tcp", 80); err != nil {
		t.Fatal(err)
	}
	n.sh("ip link set vb-ported up")
	shell(t, m, "ip addr add 10.9.0.4/24 dev host0; ip link set host0 up; ip route add default via 10.9.0.1")
	forwarded := func(context.Context) (bool, error) { return strings.Contains(n.sh("nft list ruleset"), "8080"), nil }
	if err := m.WaitFor(n.ctx, "nspawn to forward the port", forwarded); err != nil {
		t.Fatal(err)
	}
	if got := n.sh("curl -s --max-time 10 http://10.9.0.1:8080/"); got != "forwarded" {
		t.Errorf("by the host's port: %q", got)
	}
	m.Stop(n.ctx)
	_ = serve.Wait()
	if rules := n.sh("nft list ruleset"); strings.Contains(rules, "8080") {
		t.Errorf("left: %s", rules)
	}
}

func testNamespace(t *testing.T, n *networkTest) {
	other := newNetns(t)
	other.sh("ip link add mark0 type bridge")
	m := boot(t, n.host, nspawn.Config{Name: "guest", Network: nspawn.Network{Namespace: other.path}})
	shell(t, m, "ip link show mark0")
}

func testHostNetwork(t *testing.T, n *networkTest) {
	m := boot(t, n.host, nspawn.Config{Name: "shares", Network: nspawn.Network{Host: true}})
	shell(t, m, "ip link show br0")
}
