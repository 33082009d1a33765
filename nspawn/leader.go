package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// leader is the machine's first process and what commands take from it.
type leader struct {
	pid      int
	fd       *pidfd
	bounding uint64 // its capability bounding set
	identity bool   // whether its users are those of the host
	root     uint32 // its root as a user of the host
}

// newLeader refers to a machine's first process, which has to be in its control
// group: a PID alone proves nothing. It waits until the process is what it will
// be: nspawn tells the PID while it may still be moving into its root directory
// and dropping capabilities, and whoever joined it then would find the host.
func (h *Host) newLeader(pid int, g cgroup) (*leader, error) {
	fd, err := openPidfd(pid)
	if err != nil {
		return nil, err
	}
	l := &leader{pid: pid, fd: fd}
	if !inCgroup(pid, g) {
		err = fmt.Errorf("process %d is not of this machine: %w", pid, os.ErrInvalid)
	}
	if err == nil {
		err = l.awaitPayload(h.closing, h.nspawn.path)
	}
	if err == nil {
		l.bounding, err = boundingSet(pid)
	}
	if err == nil {
		l.identity, l.root, err = userMap(pid)
	}
	if err != nil {
		return nil, errors.Join(err, fd.Close())
	}
	return l, nil
}

// awaitPayload blocks until the process no longer prepares the machine, or has
// ended. No event tells of an execve, which is milliseconds away.
func (l *leader) awaitPayload(ctx context.Context, nspawn string) error {
	for delay := 100 * time.Microsecond; !l.hasPayload(nspawn); delay = min(2*delay, 5*time.Millisecond) {
		if l.fd.ended() {
			return ErrNotRunning
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the first process does not begin: %w", ctx.Err())
		case <-time.After(delay):
		}
	}
	return nil
}

// hasPayload reports whether the process has become the machine's init, or
// nspawn's stub of one, which renames itself when all is prepared.
func (l *leader) hasPayload(nspawn string) bool {
	running, err := os.Stat(fmt.Sprintf("/proc/%d/exe", l.pid))
	if err != nil {
		return false
	}
	if own, err := os.Stat(nspawn); err != nil || !os.SameFile(own, running) {
		return true
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", l.pid))
	return err == nil && strings.TrimSpace(string(name)) == "(sd-stubinit)"
}
