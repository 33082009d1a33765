package nspawn

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// WaitReady blocks until the machine says that its start-up is complete: its
// service manager has reached the default target. A machine that runs a Command
// instead is ready when that runs. If the context ends first the error wraps
// the context's, and its Startup says what the machine was busy with, which may take
// five seconds more to find out; if the machine ends, it matches ErrNotRunning.
func (m *Machine) WaitReady(ctx context.Context) error {
	for {
		b := m.currentBoot()
		if b == nil {
			<-m.done // the last step of an end
			return m.fail("wait for", m.endError())
		}
		select {
		case <-b.ready:
			return nil
		case <-b.over: // it reboots, or ends
			if err := m.waitNextBoot(ctx, b); err != nil {
				return m.fail("wait for", err)
			}
		case <-ctx.Done():
			return m.notReady(context.Cause(ctx))
		case <-m.unwatched:
			return m.fail("wait for", m.endError())
		}
	}
}

// waitNextBoot blocks until the boot after b, or the end.
func (m *Machine) waitNextBoot(ctx context.Context, b *boot) error {
	select {
	case <-b.next:
		return nil
	case <-m.unwatched:
		return m.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// notReady is the error for a start-up that took too long.
func (m *Machine) notReady(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), reportPatience)
	defer cancel()
	report := m.startup(ctx)
	return &Error{
		Op: "wait for", Machine: m.Name(), Err: fmt.Errorf("its start-up is not complete: %w", cause),
		Console: m.Console(consoleLines), Startup: report,
	}
}

// WaitPort blocks until a program in the machine listens on a port of "tcp", or
// has bound one of "udp", at whatever address. Nothing is sent to it. If the
// context ends first the error wraps the context's; if the machine ends, it
// matches ErrNotRunning.
func (m *Machine) WaitPort(ctx context.Context, protocol string, port uint16) error {
	if protocol != "tcp" && protocol != "udp" || port == 0 {
		return m.fail("wait for a port of", &Fault{Field: "port", Problem: fmt.Sprintf("%s port %d is none", protocol, port)})
	}
	what := fmt.Sprintf("%s port %d", protocol, port)
	return m.WaitFor(ctx, what, func(context.Context) (bool, error) {
		l, err := m.leaderNow()
		if err != nil {
			return false, nil // it reboots; an end is noticed by WaitFor
		}
		for _, table := range []string{protocol, protocol + "6"} {
			sockets, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", l.pid, table))
			if err == nil && listensOn(sockets, protocol, port) {
				return !l.fd.ended(), nil // or the process ID may have become another's
			}
		}
		return false, nil
	})
}

// listensOn looks a port up in a table of proc_pid_net(5): an entry's second
// field is the local address, its fourth the state.
func listensOn(table []byte, protocol string, port uint16) bool {
	waiting := map[string]string{"tcp": "0A", "udp": "07"}[protocol] // TCP_LISTEN and TCP_CLOSE
	for line := range bytes.Lines(table) {
		fields := strings.Fields(string(line))
		if len(fields) < 4 || fields[3] != waiting {
			continue
		}
		_, local, _ := strings.Cut(fields[1], ":")
		if number, err := strconv.ParseUint(local, 16, 16); err == nil && uint16(number) == port {
			return true
		}
	}
	return false
}

// WaitFor blocks until a condition holds, which what names in errors: the last
// layer of readiness, for what no unit's state tells. No event announces such a
// thing, so that it is looked at now and again: first after a millisecond, in the
// end four times a second. An error of holds ends the waiting; if the context
// ends first the error wraps the context's; if the machine ends, it matches
// ErrNotRunning.
func (m *Machine) WaitFor(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	for delay := time.Millisecond; ; delay = min(2*delay, 250*time.Millisecond) {
		held, err := holds(ctx)
		if held && err == nil {
			return nil
		}
		if err == nil {
			err = m.pause(ctx, delay)
		}
		if err != nil {
			return &Error{Op: "wait for " + what + " in", Machine: m.Name(), Err: err, Console: m.Console(consoleLines)}
		}
	}
}

// pause blocks for a while, and fails when the context or the machine ends.
func (m *Machine) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-m.unwatched:
		return m.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
