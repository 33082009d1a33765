package nspawn

import (
	"context"
	"time"
)

// OwnThread is for tests that change the namespaces of a thread.
var OwnThread = ownThread

// Cgroup is the control group above the machines of a Host.
func (h *Host) Cgroup() string { return string(h.cgroup) }

// FreezeWithin is Freeze with one attempt for each patience.
func (m *Machine) FreezeWithin(ctx context.Context, patience ...time.Duration) error {
	return m.fail("freeze", m.freeze(ctx, patience...))
}
