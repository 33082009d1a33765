package nspawn

import (
	"context"
	"errors"
)

// Reboot asks the machine's init to reboot in an orderly way and blocks until
// the machine has been started again; WaitReady waits for the end of its
// start-up. Root, network and everything else of its Config stay. The error
// matches ErrNotSupported for a machine that runs a Command or does not come back
// (RebootStop), and ErrNotRunning if it ended instead.
func (m *Machine) Reboot(ctx context.Context) error {
	return m.fail("reboot", m.rebootNow(ctx))
}

func (m *Machine) rebootNow(ctx context.Context) error {
	config := m.config()
	if len(config.Command) > 0 || config.Reboot != RebootAllow {
		return ErrNotSupported
	}
	b := m.currentBoot()
	if b == nil {
		return ErrNotRunning
	}
	// An init that has not installed its handlers yet would not hear it.
	if err := m.WaitReady(ctx); err != nil {
		return err
	}
	m.signalLeader(sigrtmin + 5) // reboot.target, see systemd(1)
	if err := m.waitNextBoot(ctx, b); err != nil {
		return err
	}
	next := m.currentBoot()
	if next == nil {
		return ErrNotRunning
	}
	select {
	case <-next.known:
		return nil
	case <-next.over:
		return errors.New("it ended again at once")
	case <-m.unwatched:
		return m.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
