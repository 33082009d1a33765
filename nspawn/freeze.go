package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prologin/rig/internal/proc"
)

// Freeze stops every process of the machine where it is, as for a consistent
// copy of several machines, and blocks until all have stopped. If the context ends
// first, the machine goes on. Commands cannot be started in a frozen machine.
// Freezing twice is freezing once.
//
// A process that waits for one that has stopped already cannot stop itself, as where the
// machine serves a file system to itself by FUSE. So a machine that is frozen only in part
// goes on for a moment before it is frozen again. After some fifteen seconds of that the
// error matches [ErrBusy] and names such processes, and the machine goes on.
func (m *Machine) Freeze(ctx context.Context) error {
	// A command that is being started would keep this program from starting
	// any other until the machine thaws.
	m.calls.Lock()
	defer m.calls.Unlock()
	return m.fail("freeze", m.freeze(ctx, time.Second, 2*time.Second, 4*time.Second, 8*time.Second))
}

// Thaw lets a frozen machine go on and blocks until it does. One that is not
// frozen is left as it is.
func (m *Machine) Thaw(ctx context.Context) error {
	return m.fail("thaw", m.setFrozen(ctx, false))
}

// errInPart ends an attempt to freeze all processes.
var errInPart = fmt.Errorf("%w: frozen only in part", ErrBusy)

// freeze makes one attempt for each patience, and lets the machine go on for a tenth of it
// in between.
func (m *Machine) freeze(ctx context.Context, patience ...time.Duration) (err error) {
	for _, length := range patience {
		attempt, cancel := context.WithTimeoutCause(ctx, length, errInPart)
		err = m.setFrozen(attempt, true)
		cancel()
		if !errors.Is(err, errInPart) {
			return err
		}
		m.host.log.Debug("freeze: the machine goes on for a moment", "machine", m.Name(), "err", err)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(length / 10):
		}
	}
	return err
}

func (m *Machine) setFrozen(ctx context.Context, frozen bool) error {
	if _, err := m.leaderNow(); err != nil {
		return err
	}
	g, value := m.cgroup(), "0"
	if frozen {
		value = "1"
	}
	err := g.write("cgroup.freeze", value)
	if isGone(err) {
		return ErrNotRunning // it ends at this moment
	}
	if err != nil {
		return err
	}
	err = g.await(ctx, "frozen", frozen)
	if err != nil && frozen {
		if waiting := g.uninterruptible(); len(waiting) > 0 {
			err = fmt.Errorf("%w; these wait uninterruptibly: %s", err, strings.Join(waiting, ", "))
		}
		err = errors.Join(err, g.write("cgroup.freeze", "0"))
	}
	return err
}

// uninterruptible names the threads in the control group, and in those below, that
// cannot be stopped now. It is for people: what cannot be read is left out.
func (g cgroup) uninterruptible() (names []string) {
	_ = filepath.WalkDir(string(g), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.threads" {
			return nil
		}
		list, _ := os.ReadFile(path)
		for _, id := range strings.Fields(string(list)) {
			number, _ := strconv.Atoi(id)
			if stat, err := proc.Stat(number); err != nil || stat[0] != "D" {
				continue
			}
			name, _ := os.ReadFile(filepath.Join("/proc", id, "comm"))
			names = append(names, fmt.Sprintf("%s (%s)", strings.TrimSpace(string(name)), id))
		}
		return nil
	})
	return names
}
