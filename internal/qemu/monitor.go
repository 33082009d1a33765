package qemu

import (
	"encoding/json"
	"fmt"
	"net"
	"sync"
)

// monitor speaks QMP, see QEMU's docs/interop/qmp-spec.
type monitor struct {
	net.Conn
	mu      sync.Mutex
	replies *json.Decoder
}

type reply struct {
	QMP, Return json.RawMessage
	Error       *struct{ Class, Desc string }
}

func newMonitor(conn net.Conn) (*monitor, error) {
	m := &monitor{Conn: conn, replies: json.NewDecoder(conn)}
	var greeting reply
	if err := m.replies.Decode(&greeting); err != nil {
		return nil, fmt.Errorf("QEMU's monitor: %w", err)
	}
	return m, m.do("qmp_capabilities", nil)
}

// do runs a command and returns when QEMU says that it is done. What comes
// meanwhile are events, which nobody here waits for.
func (m *monitor) do(command string, arguments map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m).Encode(request); err != nil {
		return fmt.Errorf("QEMU's monitor: %s: %w", command, err)
	}
	for {
		var r reply
		if err := m.replies.Decode(&r); err != nil {
			return fmt.Errorf("QEMU's monitor: %s: %w", command, err)
		}
		switch {
		case r.Error != nil:
			return fmt.Errorf("QEMU's monitor: %s: %s", command, r.Error.Desc)
		case r.Return != nil:
			return nil
		}
	}
}
