package nspawn

import (
	"context"
	"errors"
)

// Freeze stops every process of the machine where it is, as for a consistent
// copy of several machines, and blocks until all have stopped. If the context ends
// first, the machine goes on. Commands cannot be started in a frozen machine.
// Freezing twice is freezing once.
func (m *Machine) Freeze(ctx context.Context) error {
	// A command that is being started would keep this program from starting
	// any other until the machine thaws.
	m.calls.Lock()
	defer m.calls.Unlock()
	return m.fail("freeze", m.setFrozen(ctx, true))
}

// Thaw lets a frozen machine go on and blocks until it does. One that is not
// frozen is left as it is.
func (m *Machine) Thaw(ctx context.Context) error {
	return m.fail("thaw", m.setFrozen(ctx, false))
}

func (m *Machine) setFrozen(ctx context.Context, frozen bool) error {
	if _, err := m.leaderNow(); err != nil {
		return err
	}
	g, value := m.cgroup(), "0"
	if frozen {
		value = "1"
	}
	if err := g.write("cgroup.freeze", value); err != nil {
		return err
	}
	err := g.await(ctx, "frozen", frozen)
	if err != nil && frozen {
		err = errors.Join(err, g.write("cgroup.freeze", "0"))
	}
	return err
}
