package testhost

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifySocket receives what nspawn tells of the host, sd_notify(3).
type notifySocket struct{ conn *net.UnixConn }

// listenNotify makes the socket. Its address is abstract: those in the file
// system end at 107 bytes, and have to be removed.
func listenNotify(name string) (*notifySocket, error) {
	addr := &net.UnixAddr{Name: fmt.Sprintf("@%s-%d", name, os.Getpid()), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		return nil, err
	}
	return &notifySocket{conn}, nil
}

func (n *notifySocket) Address() string { return n.conn.LocalAddr().String() }

func (n *notifySocket) Close() error { return n.conn.Close() }

// Wait returns the PID of the host's PID 1 once the host says that it is ready,
// or why ctx ended.
func (n *notifySocket) Wait(ctx context.Context) (leader int, err error) {
	defer context.AfterFunc(ctx, func() { _ = n.conn.SetReadDeadline(time.Unix(1, 0)) })()
	message := make([]byte, 4096)
	for ready := false; !ready || leader == 0; {
		size, err := n.conn.Read(message)
		if cause := context.Cause(ctx); cause != nil {
			return 0, cause
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(message[:size])) {
			switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
			case "READY":
				ready = true
			case "X_NSPAWN_LEADER_PID":
				if leader, err = strconv.Atoi(value); err != nil {
					return 0, err
				}
			}
		}
	}
	return leader, nil
}
