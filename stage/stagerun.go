package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// stage waits for what w needs and runs it.
func (m *machine) stage(ctx context.Context, w *work) error {
	if err := m.await(ctx, w); err != nil {
		return err
	}
	return m.slot(ctx, func() error {
		start := time.Now()
		m.emit(Event{Kind: EventStageStarted, Machine: m.setup.Machine, Stage: w.Name, Why: w.why, Key: w.key, Total: len(w.Steps)})
		log := filepath.Join(m.logs, m.setup.Machine, w.Name+".log")
		err := m.carryOut(ctx, w, log)
		m.emit(Event{Kind: EventStageEnded, Machine: m.setup.Machine, Stage: w.Name, Key: w.key, Log: log, Elapsed: time.Since(start), Err: text(err)})
		if err != nil {
			return errors.Join(err, m.aftermath(ctx, w))
		}
		w.forced = "" // its snapshot is a fresh one now
		m.result.ran(m, w)
		return nil
	})
}

// await returns when every stage that w needs is complete.
func (m *machine) await(ctx context.Context, w *work) error {
	for _, need := range w.Needs {
		other := m.find(need)
		select {
		case <-other.done.ch:
		default:
			m.emit(Event{Kind: EventStageWaiting, Machine: m.setup.Machine, Stage: w.Name, Text: need})
		}
		select {
		case <-other.done.ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if other.done.err != nil {
			err := &Error{Op: "need", Machine: m.setup.Machine, Stage: w.Name, Step: need, Err: ErrBlocked}
			m.emit(Event{Kind: EventStageBlocked, Machine: m.setup.Machine, Stage: w.Name, Err: "needs " + need})
			return err
		}
		if err := m.wake(ctx, need); err != nil {
			return err
		}
	}
	return nil
}

// wake starts the machine of a complete stage if it was to be left alone: a stage that
// was thought to be cached needs it after all. Nothing else starts or stops that machine.
func (r *run) wake(ctx context.Context, need string) error {
	r.waking.Lock()
	defer r.waking.Unlock()
	i := slices.IndexFunc(r.tracks, func(t *track) bool { return t.setup.Machine == r.find(need).ref.machine })
	t := r.tracks[i]
	if t.up && !t.woken {
		return nil
	}
	t.up, t.woken = true, true
	return (&machine{run: r, track: t}).boot(ctx)
}

func (r *run) find(need string) *work {
	for _, t := range r.tracks {
		for _, w := range t.work {
			if w.ref.String() == need {
				return w
			}
		}
	}
	return nil // not reached: Validate has seen every need
}

// carryOut runs the steps and checks of a stage and saves the tree.
func (m *machine) carryOut(ctx context.Context, w *work, log string) (err error) {
	if err := m.unknown(); err != nil {
		return m.fail("write state", w, err)
	}
	out, err := newOutput(log, m.secret.redact, func(line string) {
		m.emit(Event{Kind: EventOutput, Machine: m.setup.Machine, Stage: w.Name, Text: line})
	})
	if err != nil {
		return m.fail("write log", w, err)
	}
	defer func() {
		if e := out.Close(); e != nil {
			m.note("output of %s is incomplete: %v", w.Name, e)
		}
	}()
	s := m.session(w, out)
	s.restart = m.reboot
	s.bind = func(ctx context.Context, b Bind) error { return m.bind(ctx, w, b) }
	if _, known := m.dir.loadPorts(w.parent); !known {
		m.listen(ctx, s, w.parent)
	}
	if err := m.steps(ctx, w, s, out); err != nil {
		return err
	}
	s.restart, s.bind = nil, nil
	if err := m.checks(ctx, w, s, out); err != nil {
		return err
	}
	if err := m.unchanged(ctx, w); err != nil {
		return m.fail("read inputs", w, err)
	}
	if err := m.dir.saveRecipe(w.key, w.recipe); err != nil {
		return m.fail("write recipe", w, err)
	}
	m.listen(ctx, s, w.key)
	if err := m.save(ctx, w.Name, w.key, w.parent); err != nil {
		return m.fail("save", w, err)
	}
	return nil
}

// session is what the steps and checks of a stage see.
func (m *machine) session(w *work, out *output) *Session {
	s := &Session{lab: m.Lab, machine: m.setup.Machine, target: m.target, out: out, peers: map[string]Target{}}
	for _, need := range w.Needs {
		r, _ := parseRef(need)
		s.peers[r.machine] = m.opts.Targets[r.machine]
	}
	return s
}

// reboot is what a step gets as its Restart.
func (m *machine) reboot(ctx context.Context) error {
	if err := m.stop(ctx); err != nil {
		return err
	}
	return m.start(ctx)
}

// steps runs the steps of a stage, all within its time-out.
func (m *machine) steps(ctx context.Context, w *work, s *Session, out *output) error {
	limit := w.Timeout
	if limit == 0 {
		limit = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("time-out of %v: %w", limit, context.DeadlineExceeded))
	defer cancel()
	for i, step := range w.Steps {
		e := Event{Machine: m.setup.Machine, Stage: w.Name, Index: i + 1, Total: len(w.Steps), Text: step.String()}
		e.Kind = EventStepStarted
		m.emit(e)
		start := time.Now()
		err := step.Run(ctx, s)
		if err == nil {
			err = context.Cause(ctx)
		}
		e.Kind, e.Elapsed, e.Err = EventStepEnded, time.Since(start), text(err)
		m.emit(e)
		if err != nil {
			err := m.describe(ctx, "step", w, step.String(), err)
			err.Output, err.Log = out.last(), out.name
			return err
		}
		out.last() // a later step's error quotes only its own output
	}
	return nil
}

// describe makes the error of a step or check, adding what became of the machine.
func (m *machine) describe(ctx context.Context, op string, w *work, step string, err error) *Error {
	if remark := m.health(ctx); remark != "" {
		err = &remarked{err, remark}
	}
	e := &Error{Op: op, Machine: m.setup.Machine, Stage: w.Name, Step: m.secret.redactText(step), Err: m.secret.redactError(err)}
	e.Resume, e.Shell = m.opts.Hint(m.setup.Machine, w.Name)
	return e
}

// answerTime is how soon a healthy machine runs a command that does nothing.
const answerTime = 5 * time.Second

// health says what is wrong with a machine in which something failed, "" if nothing is.
func (m *machine) health(ctx context.Context) string {
	if ctx.Err() != nil {
		return ""
	}
	if running, err := m.target.Machine.Running(ctx); err != nil {
		return ""
	} else if !running {
		return "the machine is no longer running"
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if m.target.Machine.Exec(ctx, Command{Args: []string{"true"}}) != nil {
		return "the machine does not answer: it has died or starts again"
	}
	return ""
}

// unchanged makes sure that the inputs are still those that the key was made of, since
// steps read them after that.
func (m *machine) unchanged(ctx context.Context, w *work) error {
	needs := map[string]string{}
	for _, need := range w.Needs {
		needs[need] = m.find(need).key
	}
	now := w.Stage.recipe(ctx, w.parent, needs, m.hasher, m.secret)
	key, err := now.key()
	if err != nil {
		return err
	}
	if key != w.key {
		return fmt.Errorf("%w: %s", ErrChanged, summary(compare(w.recipe, now)))
	}
	return nil
}

// aftermath does with a failed machine what the options say.
func (m *machine) aftermath(ctx context.Context, w *work) error {
	if ctx.Err() != nil {
		return nil // the run ends; powerOff sees to the machine
	}
	var errs []error
	if m.opts.KeepFailed {
		errs = append(errs, m.keepFailed(ctx, w))
	}
	switch m.opts.OnFailure {
	case PolicyShell:
		errs = append(errs, m.openShell(ctx), m.kill(ctx))
	case PolicyStop:
		errs = append(errs, m.kill(ctx))
	case PolicyRollback:
		for i := range m.work {
			if m.work[i] == w {
				m.resume = i - 1
			}
		}
		if err := m.restore(ctx); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, m.start(ctx))
		}
	}
	return errors.Join(errs...)
}

// openShell gives the user a shell in the failed machine. There is only one terminal.
func (m *machine) openShell(ctx context.Context) error {
	m.shell.Lock()
	defer m.shell.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	return m.opts.Shell(ctx, m.setup.Machine)
}

func (r *Result) ran(m *machine, w *work) {
	m.Lab.mu.Lock()
	defer m.Lab.mu.Unlock()
	r.Ran = append(r.Ran, w.ref.String())
}

func (r *Result) restored(m *machine) {
	m.Lab.mu.Lock()
	defer m.Lab.mu.Unlock()
	r.Restored = append(r.Restored, m.setup.Machine)
}
