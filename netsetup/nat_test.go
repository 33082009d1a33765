package netsetup

import (
	"net/netip"
	"testing"
	"time"
)

func TestMasquerade(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	l.attach(t)
	leaks := watch(t, l.world, "eth0", netip.MustParsePrefix("10.0.0.0/24"))
	all := watch(t, l.world, "eth0", netip.MustParsePrefix("0.0.0.0/0"))

	if err := ping(t, l.machine, worldAddr); err != nil {
		t.Error(err)
	}
	if err := ping(t, l.host, machineAddr); err != nil {
		t.Error("from the host:", err)
	}
	serve(t, l.world, worldAddr+":80")
	_, seen, err := dial(t, l.machine, worldAddr+":80")
	if err != nil || seen != hostAddr {
		t.Errorf("the world sees the machine as %q (%v), want %s", seen, err, hostAddr)
	}

	// What NAT does not rewrite must stay inside.
	sendRST(t, l.machine, machineAddr, worldAddr)
	l.machine.sh(t, "ip address add 172.30.0.1/32 dev lo")
	sendRST(t, l.machine, "172.30.0.1", worldAddr)
	if err := ping(t, l.machine, worldAddr); err != nil {
		t.Error(err)
	}
	if n := leaks(); n != 0 {
		t.Errorf("%d packets reached the world with an address of the network's", n)
	}
	if n := all(); n < 5 {
		t.Errorf("only %d packets reached the world: the watch sees too little to tell", n)
	}

	l.detach(t)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
}

func TestApplyAgainKeepsConnections(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	l.attach(t)
	serve(t, l.world, worldAddr+":80")
	c, _, err := dial(t, l.machine, worldAddr+":80")
	if err != nil {
		t.Fatal(err)
	}
	changes, err := h.Plan(t.Context(), l.network)
	if err != nil || len(changes) != 0 {
		t.Fatalf("a second Apply would change %v (%v)", changes, err)
	}
	l.apply(t, h)
	c.SetDeadline(time.Now().Add(answerTime))
	if _, err := c.Write([]byte("still there?")); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(make([]byte, 64)); err != nil || n == 0 {
		t.Errorf("the connection broke: %v", err)
	}
}
