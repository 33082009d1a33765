package nspawn

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notification is what one datagram of sd_notify(3) said that we care about.
type notification struct {
	leader   int  // PID of the machine's first process as the host counts; 0 if not said
	ready    bool // the machine says that its start-up is complete
	stopping bool
	status   string
}

// parseNotification reads NAME=VALUE lines and skips what it does not know.
func parseNotification(datagram string) (n notification) {
	for line := range strings.Lines(datagram) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch name {
		case "X_NSPAWN_LEADER_PID":
			if pid, err := strconv.Atoi(value); err == nil && pid > 0 {
				n.leader = pid
			}
		case "READY":
			n.ready = n.ready || value == "1"
		case "STOPPING":
			n.stopping = n.stopping || value == "1"
		case "STATUS":
			n.status = value
		}
	}
	return n
}

// notifySocket is where nspawn and the machine's manager report.
type notifySocket struct {
	conn   *net.UnixConn
	path   string
	handle func(notification)
	done   chan struct{} // closed when the serving has ended; nil before it began
}

// listenNotify binds the socket in a machine's state directory, in the place of
// one that a program now dead had bound there.
func listenNotify(stateDir string) (*notifySocket, error) {
	dir, err := os.Open(stateDir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	path := filepath.Join(stateDir, "notify")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// By way of the descriptor the address is short, however deep the directory.
	short := fmt.Sprintf("/proc/self/fd/%d/notify", dir.Fd())
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: short, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &notifySocket{conn: conn, path: path}, nil
}

// serve calls f for every datagram, one at a time, until Close.
func (s *notifySocket) serve(f func(notification)) {
	s.handle, s.done = f, make(chan struct{})
	go func() {
		defer close(s.done)
		buf := make([]byte, 8192)
		for {
			n, err := s.conn.Read(buf)
			if err != nil {
				return
			}
			f(parseNotification(string(buf[:n])))
		}
	}()
}

// drain ends the serving after what has been sent already: a process that has
// ended may have said something first.
func (s *notifySocket) drain() error {
	if err := s.conn.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	<-s.done
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		buf := make([]byte, 8192)
		for {
			n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			s.handle(parseNotification(string(buf[:n])))
		}
	})
}

// Close ends the serving and removes the socket.
func (s *notifySocket) Close() error {
	var err error
	if s.done != nil {
		err = s.drain()
	}
	err = errors.Join(err, s.conn.Close())
	if rmErr := os.Remove(s.path); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	return err
}
