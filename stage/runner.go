package stage

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// machine carries out one track of a run.
type machine struct {
	*run
	*track
}

func (r *run) machine(ctx context.Context, t *track) error {
	m := &machine{run: r, track: t}
	err := m.do(ctx)
	for _, w := range t.work {
		select {
		case <-w.done.ch:
		default:
			w.done.close(err)
		}
	}
	return err
}

func (m *machine) do(ctx context.Context) error {
	if m.goal < 0 && !m.up {
		return nil
	}
	if err := m.slot(ctx, func() error { return m.prepare(ctx) }); err != nil {
		return err
	}
	for i, w := range m.work {
		if i <= m.resume {
			w.done.close(nil)
		}
	}
	ran := false
	for i := m.resume + 1; i <= m.goal; i++ {
		w := m.work[i]
		if w.run {
			ran = true
			if err := m.stage(ctx, w); err != nil {
				return err
			}
		}
		w.done.close(nil)
	}
	if !ran && !m.steering.Offline && m.up {
		return m.slot(ctx, func() error { return m.verify(ctx) })
	}
	return nil
}

// slot runs f as soon as there is room for one more.
func (m *machine) slot(ctx context.Context, f func() error) error {
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
		return f()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// prepare makes the tree that of the stage to resume after, and starts the machine.
func (m *machine) prepare(ctx context.Context) error {
	if !m.clean {
		if err := m.restore(ctx); err != nil {
			return err
		}
	}
	if !m.up {
		return nil
	}
	return m.boot(ctx)
}

// boot starts the machine unless it runs.
func (m *machine) boot(ctx context.Context) error {
	running, err := m.target.Machine.Running(ctx)
	if err != nil {
		return m.fail("start", nil, err)
	}
	if running {
		return nil
	}
	return m.start(ctx)
}

// restore finds the newest snapshot that can still be restored. One that cannot be
// is passed over, with a note, and its stage runs again.
func (m *machine) restore(ctx context.Context) error {
	if err := m.discard(ctx); err != nil {
		return err
	}
	for ; ; m.resume-- {
		for m.resume >= 0 && (m.work[m.resume].skip != "" || m.work[m.resume].forced != "") {
			m.resume--
		}
		saved, ok := m.newest(m.keyOf(m.resume))
		if !ok && m.resume < 0 {
			return m.reset(ctx)
		}
		if !ok {
			m.again(m.resume, "its snapshot is gone")
			continue
		}
		err := m.restoreOne(ctx, saved)
		if err == nil || ctx.Err() != nil || errors.Is(err, syscall.ENOSPC) {
			return err // an older one would take as much room
		}
		if m.resume < 0 {
			m.note("the base's snapshot %s cannot be restored: %v", saved.Name, err)
			return m.reset(ctx)
		}
		m.note("snapshot %s cannot be restored, going back further: %v", saved.Name, err)
		m.again(m.resume, "its snapshot cannot be restored")
	}
}

// again has a stage run that was thought to be cached.
func (m *machine) again(i int, why string) {
	w := m.work[i]
	w.run, w.why = true, why
	m.up = true
}

func (m *machine) restoreOne(ctx context.Context, s Saved) error {
	start := time.Now()
	name := ""
	if m.resume >= 0 {
		name = m.work[m.resume].Name
	}
	m.emit(Event{Kind: EventRestoring, Machine: m.setup.Machine, Stage: name, Text: s.Name})
	err := m.target.Volume.Restore(ctx, s.Name)
	if err == nil && s.Key != "" {
		err = m.known(s.Key)
	}
	m.binds = m.bindsAfter(m.resume)
	m.emit(Event{Kind: EventRestored, Machine: m.setup.Machine, Stage: name, Text: s.Name, Elapsed: time.Since(start), Err: text(err)})
	if err != nil {
		return m.fail("restore", nil, err)
	}
	return nil
}

// reset makes the tree what it was before the first stage, and saves it so that the
// next time is a mere restore.
func (m *machine) reset(ctx context.Context) error {
	start := time.Now()
	m.emit(Event{Kind: EventRestoring, Machine: m.setup.Machine, Text: "base"})
	m.binds = nil
	var err error
	if r, ok := m.target.Volume.(Resetter); ok {
		err = r.Reset(ctx)
	} else if len(m.saved) > 0 || len(m.state.Keys) > 0 {
		err = fmt.Errorf("%w: the volume cannot go back to the base, of which it has no snapshot", ErrNotSupported)
	}
	if err == nil {
		err = m.save(ctx, "base", m.baseKey, "")
	}
	m.emit(Event{Kind: EventRestored, Machine: m.setup.Machine, Text: "base", Elapsed: time.Since(start), Err: text(err)})
	if err != nil {
		return m.fail("restore", nil, err)
	}
	return m.known(m.baseKey)
}

// unknown records that the tree is about to become that of no stage.
func (m *machine) unknown() error {
	if !m.state.Clean && m.state.Tree == "" {
		return nil
	}
	return m.state.update(func(s *machineState) { s.Clean, s.Tree = false, "" })
}

// known records that the tree was made that of the stage with the given key, and with it
// those before. A program that was killed may have saved a tree that it did not record.
func (m *machine) known(key string) error {
	return m.state.update(func(s *machineState) {
		s.Clean, s.Tree, s.Up = true, key, false
		for _, w := range m.work[:m.resume+1] {
			if w.skip == "" {
				s.Keys[w.Name] = w.key
			}
		}
	})
}

func (m *machine) start(ctx context.Context) error {
	begin := time.Now()
	m.emit(Event{Kind: EventMachineStarting, Machine: m.setup.Machine})
	err := m.state.update(func(s *machineState) { s.Up, s.Binds = true, m.binds })
	if b, ok := m.target.Machine.(Binder); ok {
		b.SetBinds(m.binds)
	}
	if err == nil {
		err = m.target.Machine.Start(ctx)
	}
	if err != nil {
		// It may be there all the same, and never have been ready: the next run must not go
		// on with it.
		return errors.Join(m.fail("start", nil, err), m.unknown())
	}
	m.emit(Event{Kind: EventMachineStarted, Machine: m.setup.Machine, Elapsed: time.Since(begin)})
	return nil
}

func (m *machine) stop(ctx context.Context) error { return m.halt(ctx, m.target.Machine.Stop) }

// kill stops a machine whose tree will not be used again.
func (m *machine) kill(ctx context.Context) error {
	if k, ok := m.target.Machine.(Killer); ok {
		return m.halt(ctx, k.Kill)
	}
	return m.stop(ctx)
}

func (m *machine) halt(ctx context.Context, halt func(context.Context) error) error {
	begin := time.Now()
	running, err := m.target.Machine.Running(ctx)
	if err == nil && running {
		if err = halt(ctx); err == nil {
			m.emit(Event{Kind: EventMachineStopped, Machine: m.setup.Machine, Elapsed: time.Since(begin)})
		}
		if err == nil && m.state.Up {
			err = m.state.update(func(s *machineState) { s.Up = false })
		}
	}
	if err != nil {
		return m.fail("stop", nil, err)
	}
	return nil
}

func (m *machine) note(format string, args ...any) {
	m.emit(Event{Kind: EventNote, Machine: m.setup.Machine, Text: fmt.Sprintf(format, args...)})
}

// fail describes an error of this machine, unless it is described already.
func (m *machine) fail(op string, w *work, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err
	}
	e := &Error{Op: op, Machine: m.setup.Machine, Err: m.secret.redactError(err)}
	name := ""
	if w != nil {
		name, e.Stage = w.Name, w.Name
	}
	e.Resume, e.Shell = m.opts.Hint(m.setup.Machine, name)
	return e
}
