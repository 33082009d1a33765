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

// BetweenLives has a function called after the end of a machine's life, before a reboot
// begins the next.
func (h *Host) BetweenLives(f func()) {
	h.starters[LauncherDirect] = &betweenLives{h.starters[LauncherDirect], f}
}

type betweenLives struct {
	starter
	f func()
}

func (b *betweenLives) relaunch(ctx context.Context, m *Machine) (*boot, error) {
	b.f()
	return b.starter.relaunch(ctx, m)
}
