package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Result says what a run did.
type Result struct {
	// Ran and Cached name stages as "machine/stage", in the order of the plan.
	Ran, Cached []string

	// Restored names the machines whose tree was restored.
	Restored []string

	// Elapsed is how long the run took.
	Elapsed time.Duration
}

// cleanupTime limits what is done after a run was cancelled.
const cleanupTime = time.Minute

// run is one run of a lab.
type run struct {
	*Lab
	steering Steering
	tracks   []*track
	slots    chan struct{}
	logs     string
	waking   sync.Mutex

	result Result // guarded by Lab.mu
}

// Run carries out the plan: it restores the newest snapshots that match, starts the
// machines and runs the stages that are left, each as soon as those that it needs are
// complete. A stage whose steps succeeded and whose checks hold is saved under its
// key. Machines that have nothing to run are started if need be, and the checks of
// their last stage are made again.
//
// A failure in one machine does not keep others from going on, except for stages that
// need the failed one. The error is an [Error] or several, joined.
//
// The end of ctx kills the command that is running, powers the machines off and makes
// Run return; the next one resumes after the last completed stages. So does one after
// the program was killed, which a second Ctrl-C may well do if the first one ends ctx.
func (l *Lab) Run(ctx context.Context, s Steering) (*Result, error) {
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	start := time.Now()
	r := &run{Lab: l, steering: s, slots: make(chan struct{}, l.opts.Parallel)}
	r.logs = l.dir.path("logs", start.UTC().Format("20060102T150405.000"))
	l.dir.sweep()
	if err := l.dir.pruneLogs(); err != nil {
		l.log.Debug("old logs not removed", "err", err)
	}
	l.emit(Event{Kind: EventRunStarted, Text: l.plan.Name, Total: len(l.graph.nodes)})
	err = r.do(ctx)
	r.result.Elapsed = time.Since(start)
	r.summarize()
	l.emit(Event{Kind: EventRunEnded, Text: l.plan.Name, Elapsed: r.result.Elapsed, Err: text(err)})
	return &r.result, err
}

// lock takes the lab for what changes machines.
func (l *Lab) lock(ctx context.Context) (unlock func(), err error) {
	if len(l.opts.Targets) == 0 {
		return nil, fmt.Errorf("%w options: no targets", ErrInvalid)
	}
	if l.opts.NoWait {
		return l.dir.lock(ctx, nil)
	}
	return l.dir.lock(ctx, func(h holder) {
		l.emit(Event{Kind: EventWaiting, Text: "lab in use by " + h.String()})
	})
}

func (r *run) do(ctx context.Context) error {
	var err error
	if r.tracks, err = r.Lab.tracks(ctx, r.steering); err != nil {
		return err
	}
	if err := r.forget(); err != nil {
		return err
	}
	r.announce()
	var g errgroup.Group
	errs := make([]error, len(r.tracks))
	for i, t := range r.tracks {
		g.Go(func() error {
			errs[i] = r.machine(ctx, t)
			return nil
		})
	}
	g.Wait()
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		errs = slices.DeleteFunc(errs, func(err error) bool { return err == cause })
		errs = append(append([]error{cause}, errs...), r.powerOff(ctx))
	}
	return errors.Join(errs...)
}

// forget marks the snapshots that From and Rerun are to replace, so that a run that is
// interrupted is taken up where it was, not where the old snapshots end. It also records
// the bases.
func (r *run) forget() error {
	for _, t := range r.tracks {
		var stale []string
		for _, w := range t.work {
			if w.forced == "" || w.skip != "" {
				continue
			}
			for _, s := range t.saved {
				if s.Key == w.key && !t.state.stale(s.Name) {
					stale = append(stale, s.Name)
				}
			}
		}
		if stale == nil && t.state.Base == t.setup.Base {
			continue
		}
		err := t.state.update(func(m *machineState) { m.Stale, m.Base = append(m.Stale, stale...), t.setup.Base })
		if err != nil {
			return &Error{Op: "write state", Machine: t.setup.Machine, Err: err}
		}
	}
	return nil
}

func (r *run) announce() {
	for _, t := range r.tracks {
		for _, w := range t.work {
			r.emit(Event{Kind: EventPlanned, Machine: w.ref.machine, Stage: w.Name, Key: w.key, Text: w.action(), Why: w.why})
		}
	}
	for _, note := range r.leftBehind() {
		r.emit(Event{Kind: EventNote, Text: note})
	}
}

// leftBehind tells of machines that this run leaves alone although stages that theirs
// need are undone or run again.
func (r *run) leftBehind() (notes []string) {
	for _, t := range r.tracks {
		if t.goal >= 0 {
			continue
		}
		for i, w := range t.work {
			for _, need := range w.Needs {
				if what := r.becomesOf(need); what != "" && t.holds(i) {
					notes = append(notes, fmt.Sprintf("%s keeps stage %s, which needs %s: that %s", t.setup.Machine, w.Name, need, what))
				}
			}
		}
	}
	return notes
}

// becomesOf says what a run does to a stage that was complete, "" if nothing.
func (r *run) becomesOf(need string) string {
	for _, t := range r.tracks {
		for i, w := range t.work {
			switch {
			case w.ref.String() != need || t.goal < 0 || t.clean || !t.holds(i):
			case w.run:
				return "runs again"
			case i > t.goal:
				return "is undone"
			}
		}
	}
	return ""
}

// powerOff stops what the run was using when it was cancelled. A tree that will be
// thrown away need not be left in order.
func (r *run) powerOff(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	return r.each(func(m *machine) error {
		switch {
		case !m.up:
			return nil
		case m.state.Clean:
			return m.stop(ctx)
		}
		return m.kill(ctx)
	})
}

// summarize completes the result.
func (r *run) summarize() {
	order := r.plan.refs()
	slices.SortFunc(r.result.Ran, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	slices.Sort(r.result.Restored)
	for _, t := range r.tracks {
		for i, w := range t.work {
			if i <= t.goal && w.wanted && !w.run && w.skip == "" {
				r.result.Cached = append(r.result.Cached, w.ref.String())
			}
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// PowerOff stops every machine and records that its tree is in order, so that the
// next run need not restore it. Machines that do not run are left alone.
func (l *Lab) PowerOff(ctx context.Context) error {
	unlock, err := l.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	r := &run{Lab: l}
	if r.tracks, err = l.load(ctx); err != nil {
		return err
	}
	return r.each(func(m *machine) error { return m.stop(ctx) })
}
