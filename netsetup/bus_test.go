package netsetup

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBusThatDoesNotAnswer: what cannot be told is not taken for a no.
func TestBusThatDoesNotAnswer(t *testing.T) {
	l := newLab(t)
	l.bridge()
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	path := filepath.Join(t.TempDir(), "bus")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+path)
	bus, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := bus.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if err := h.Apply(t.Context(), l.network); err == nil || !strings.Contains(err.Error(), "cannot ask the system bus who is") {
		t.Errorf("Apply beside a bus that hangs up: %v", err)
	}
	before.compare(t, l.host.picture(t))
	checkEmpty(t, l.state)
	bus.Close()
	<-done
	// Without a bus nobody is on it.
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is still there")
	}
	l.apply(t, h)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Error(err)
	}
}
