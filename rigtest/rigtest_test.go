package rigtest_test

import (
	"strings"
	"testing"

	"github.com/prologin/rig/rigtest"
)

func TestTwoMachinesTalk(t *testing.T) {
	t.Parallel()
	lab := rigtest.New(t)
	server, client := lab.Machine("server"), lab.Machine("client")
	if got := strings.TrimSpace(server.Run("hostname")); got != "server" {
		t.Errorf("the server calls itself %q", got)
	}
	client.Run("ping", "-c1", "-w10", server.Address.String())
}

func TestLabsDoNotMeet(t *testing.T) {
	t.Parallel()
	one, other := rigtest.New(t), rigtest.New(t)
	a, b := one.Machine("a"), other.Machine("a")
	if a.Address != b.Address {
		t.Errorf("the addresses are %v and %v; they should be the same", a.Address, b.Address)
	}
	a.Run("touch", "/root/here")
	if got := b.Run("ls", "/root"); strings.Contains(got, "here") {
		t.Errorf("the other lab's machine has the file: %s", got)
	}
}
