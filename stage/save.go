package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// save takes a snapshot of the tree under a key, records that the tree is now that,
// and removes older snapshots with the same key.
func (m *machine) save(ctx context.Context, stage, key, parent string) error {
	start := time.Now()
	name := m.free(stage + "-" + short(key))
	how := "stopped"
	e := Event{Kind: EventSaving, Machine: m.setup.Machine, Stage: stage, Text: name, Key: key}
	running, err := m.target.Machine.Running(ctx)
	if err == nil && running {
		how = m.quiesceWay()
	}
	e.Why = how
	m.emit(e)
	if how == "running" && !m.warned {
		m.warned = true
		m.note("it cannot be frozen: its tree is saved while it runs, with its files written to disk just before")
	}
	s := Saved{Name: name, Key: key, Parent: parent}
	if err == nil {
		err = m.quiet(ctx, how, func() error { return m.target.Volume.Save(ctx, s) })
	}
	if err == nil {
		err = m.state.update(func(st *machineState) {
			st.Clean, st.Tree = true, key
			st.Stale = slices.DeleteFunc(st.Stale, func(old string) bool { return old == name })
			if key != m.baseKey {
				st.Keys[stage] = key
			}
		})
	}
	e.Kind, e.Elapsed, e.Err = EventSaved, time.Since(start), text(err)
	m.emit(e)
	if err != nil {
		return err
	}
	m.replace(ctx, s)
	if how == "stopped" && running {
		return m.start(ctx)
	}
	return nil
}

func (m *machine) quiesceWay() string {
	_, can := m.target.Machine.(Freezer)
	switch {
	case m.setup.Quiesce == QuiesceStop:
		return "stopped"
	case can:
		return "frozen"
	}
	return "running"
}

// quiet calls save while the machine is held still.
func (m *machine) quiet(ctx context.Context, how string, save func() error) (err error) {
	switch how {
	case "stopped":
		if err := m.stop(ctx); err != nil {
			return err
		}
	case "frozen":
		if err := m.flush(ctx); err != nil {
			return err
		}
		f := m.target.Machine.(Freezer)
		// Thaw also what froze only in part, and after the end of ctx.
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
			defer cancel()
			if e := f.Thaw(ctx); e != nil {
				err = errors.Join(err, fmt.Errorf("thaw: %w", e))
			}
		}()
		if err := f.Freeze(ctx); err != nil {
			return fmt.Errorf("freeze: %w", err)
		}
	default:
		if err := m.flush(ctx); err != nil {
			return err
		}
	}
	return save()
}

// flush writes the machine's files to disk. Processes that wait for that must not be
// frozen halfway, so it comes first.
func (m *machine) flush(ctx context.Context) error {
	err := m.target.Machine.Exec(ctx, Command{Args: []string{"sync", "--file-system", "/"}})
	if err != nil && ctx.Err() == nil {
		// The volume sees what was written in any case; only a crash of the host could
		// make a difference.
		m.log.Debug("sync failed", "machine", m.setup.Machine, "err", err)
		return nil
	}
	return err
}

// free returns the name, or one like it that no snapshot has.
func (m *machine) free(name string) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(m.saved, func(s Saved) bool { return s.Name == name })
	}
	free := name
	for i := 2; taken(free); i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	return free
}

// replace drops the snapshots that s makes useless. What cannot be removed is only
// worth a note: the newest counts.
func (m *machine) replace(ctx context.Context, s Saved) {
	var kept []Saved
	gone := map[string]bool{}
	for _, old := range m.saved {
		if old.Key != s.Key {
			kept = append(kept, old)
			continue
		}
		err := m.target.Volume.Remove(ctx, old.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.note("snapshot %s was replaced but cannot be removed: %v", old.Name, err)
			kept = append(kept, old)
			continue
		}
		gone[old.Name] = true
	}
	m.saved = append(kept, s)
	if len(gone) == 0 || len(m.state.Stale) == 0 {
		return
	}
	err := m.state.update(func(st *machineState) {
		st.Stale = slices.DeleteFunc(st.Stale, func(name string) bool { return gone[name] })
	})
	if err != nil {
		m.note("state not written: %v", err)
	}
}

// keepFailed saves the tree of a failed stage for whoever wants to look at it.
func (m *machine) keepFailed(ctx context.Context, w *work) error {
	name := failedName(w.Name)
	err := m.target.Volume.Remove(ctx, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m.fail("save", w, err)
	}
	err = m.quiet(ctx, "running", func() error {
		return m.target.Volume.Save(ctx, Saved{Name: name, Parent: w.parent})
	})
	if err != nil {
		return m.fail("save", w, err)
	}
	m.note("the failed tree is kept as snapshot %s", name)
	return nil
}
