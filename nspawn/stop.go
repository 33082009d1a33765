package nspawn

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Stop powers the machine off and blocks until it has ended and nothing of it
// is left. A machine that does not obey within Config.Stop.Poweroff is
// terminated, and one that does not end within Config.Stop.Terminate is killed;
// the end of the context is the end of patience too, and then Stop kills before
// it returns the context's error. A machine that has ended is stopped already.
func (m *Machine) Stop(ctx context.Context) error {
	m.mu.Lock()
	m.stopping = true
	timeouts := m.record.Config.Stop
	m.mu.Unlock()
	if isClosed(m.unwatched) {
		return m.ended("stop")
	}
	m.advance(phaseStopping, func(*record) {})
	m.tell(EventStopping, ExitStatus{})
	// Nothing can obey while it is frozen.
	if err := m.Thaw(ctx); err != nil && !errors.Is(err, ErrNotRunning) && ctx.Err() == nil {
		return err
	}
	if m.poweroff(ctx, orDuration(timeouts.Poweroff, 20*time.Second)) {
		return m.ended("stop")
	}
	if ctx.Err() == nil {
		m.force("terminate")
		if m.terminate(ctx, orDuration(timeouts.Terminate, 5*time.Second)) {
			return m.ended("stop")
		}
	}
	if err := m.Kill(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return m.fail("stop", context.Cause(ctx))
}

// poweroff asks the first process for an orderly end and waits for it. An init
// that has not installed its handlers yet does not hear the request, so it is
// repeated until the machine is ready.
func (m *Machine) poweroff(ctx context.Context, patience time.Duration) bool {
	config := m.config()
	signal, err := parseSignal(config.killSignal())
	if err != nil {
		return false
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(250 * time.Millisecond)
	defer again.Stop()
	for {
		wasReady := false
		if b := m.currentBoot(); b != nil {
			wasReady = isClosed(b.ready)
			m.signalLeader(signal)
		}
		tick := again.C
		if wasReady {
			tick = nil
		}
		select {
		case <-m.unwatched:
			return true
		case <-tick:
		case <-deadline.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (m *Machine) signalLeader(signal unix.Signal) {
	l, err := m.leaderNow()
	if err == nil {
		err = l.fd.signal(signal)
	}
	if err != nil && !errors.Is(err, ErrNotRunning) {
		m.host.log.Warn("cannot signal the machine", "machine", m.Name(), "signal", signal, "error", err)
	}
}

// terminate makes nspawn end the machine at once: a second SIGTERM is not passed
// on to the first process.
func (m *Machine) terminate(ctx context.Context, patience time.Duration) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(patience/4 + 1)
	defer again.Stop()
	for {
		if b := m.currentBoot(); b != nil {
			_ = b.nspawn.signal(unix.SIGTERM)
		}
		select {
		case <-m.unwatched:
			return true
		case <-again.C:
		case <-deadline.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// Kill ends every process of the machine at once, as a power cut would, and
// blocks until nothing of it is left or the context has ended.
func (m *Machine) Kill(ctx context.Context) error {
	if isClosed(m.unwatched) {
		return m.ended("kill")
	}
	m.mu.Lock()
	m.stopping = true
	m.mu.Unlock()
	m.force("kill")
	if err := m.cgroup().kill(); err != nil {
		return m.fail("kill", err)
	}
	select {
	case <-m.unwatched:
		return m.ended("kill")
	case <-ctx.Done():
		return m.fail("kill", context.Cause(ctx))
	}
}

// announceEnd tells a machine that is being stopped that a command is over. Its init
// has ended the command too, and waits to hear of that, as a parent would.
func (m *Machine) announceEnd(l *leader) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopping {
		_ = l.fd.signal(unix.SIGCHLD)
	}
}

// force notes which step an end needed.
func (m *Machine) force(step string) {
	m.mu.Lock()
	m.exit.Forced = step
	m.mu.Unlock()
	m.tell(EventForced, ExitStatus{Code: -1, Forced: step})
}

// ended is the result of an end that has come.
func (m *Machine) ended(op string) error {
	if !isClosed(m.done) {
		return m.fail(op, ErrClosed)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
