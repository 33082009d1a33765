package nspawn

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestPortOfAnother waits for a port in a machine that has ended, of whose first process
// another, which listens, has the number now.
func TestPortOfAnother(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	first := exec.Command("true")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := openPidfd(first.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	m := &Machine{dir: t.TempDir(), boot: &boot{leader: &leader{pid: os.Getpid(), fd: fd}}}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	port := listener.Addr().(*net.TCPAddr).Port
	if err := m.WaitPort(ctx, "tcp", uint16(port)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitPort: %v", err)
	}
}
