package stage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Rollback makes the trees those of the moment after a stage, named as in [Steering].
// Stages of other machines that depend on what is undone are undone too: their
// machines go back to just before. Machines that run are started again; the others
// are not touched.
//
// It fails with [ErrNotFound], before anything is done, if a snapshot that it takes
// is not there.
func (l *Lab) Rollback(ctx context.Context, stage string) (*Result, error) {
	r, unlock, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	node, err := l.resolve(stage)
	if err != nil {
		return nil, err
	}
	if err := r.aim(node); err != nil {
		return nil, err
	}
	start := time.Now()
	err = r.each(func(m *machine) error {
		if m.goal == len(m.work) {
			return nil
		}
		m.up = m.running
		if err := m.exactly(ctx, m.goal); err != nil || !m.up {
			return err
		}
		return m.start(ctx)
	})
	r.result.Elapsed = time.Since(start)
	r.summarize()
	return &r.result, err
}

// begin locks the lab and looks at everything.
func (l *Lab) begin(ctx context.Context) (*run, func(), error) {
	unlock, err := l.lock(ctx)
	if err != nil {
		return nil, nil, err
	}
	r := &run{Lab: l}
	if r.tracks, err = l.tracks(ctx, Steering{}); err != nil {
		unlock()
		return nil, nil, err
	}
	return r, unlock, nil
}

// each calls f for every machine side by side and joins the errors.
func (r *run) each(f func(*machine) error) error {
	var g errgroup.Group
	errs := make([]error, len(r.tracks))
	for i, t := range r.tracks {
		g.Go(func() error {
			errs[i] = f(&machine{run: r, track: t})
			return nil
		})
	}
	g.Wait()
	return errors.Join(errs...)
}

// aim sets the goal of each track to the stage to go back to: that of the given node
// for its machine, the one before the first that is undone for those that depend on
// it, and the number of stages for those that stay.
func (r *run) aim(node int) error {
	target := r.graph.nodes[node].ref
	var undone []int
	for i, n := range r.graph.nodes {
		if n.ref.machine == target.machine && i > node {
			undone = append(undone, i)
		}
	}
	gone := r.graph.descendants(undone...)
	var errs []error
	for _, t := range r.tracks {
		t.goal = len(t.work)
		for i, w := range t.work {
			if gone[w.node] {
				t.goal = i - 1
				break
			}
		}
		if t.setup.Machine == target.machine {
			for i, w := range t.work {
				if w.node == node {
					t.goal = i
				}
			}
		} else if t.goal < len(t.work) && !t.reached(t.goal+1) {
			t.goal = len(t.work) // it never got as far as what is undone
		}
		if t.goal < len(t.work) {
			if _, ok := t.newest(t.keyOf(t.goal)); !ok {
				errs = append(errs, t.missing(t.goal))
			}
		}
	}
	return errors.Join(errs...)
}

// reached reports whether the tree may be that of the stage at index i or of a later
// one.
func (t *track) reached(i int) bool {
	return !t.state.Clean || t.holds(i)
}

// holds reports whether the tree is that of the stage at index i or of a later one, be
// it as they are now or as they were when they were completed.
func (t *track) holds(i int) bool {
	for _, w := range t.work[i:] {
		if key := t.state.Tree; key != "" && (key == w.key || key == t.state.Keys[w.Name]) {
			return true
		}
	}
	return false
}

func (t *track) missing(i int) error {
	name := ""
	if i >= 0 {
		name = t.work[i].Name
	}
	return &Error{Op: "restore", Machine: t.setup.Machine, Stage: name,
		Err: fmt.Errorf("a snapshot of it as it is in the plan, with the key %s: %w", short(t.keyOf(i)), ErrNotFound)}
}

// exactly makes the tree that of the stage at index i and no other.
func (m *machine) exactly(ctx context.Context, i int) error {
	saved, ok := m.newest(m.keyOf(i))
	if !ok {
		return m.missing(i)
	}
	m.resume = i
	if err := m.discard(ctx); err != nil {
		return err
	}
	return m.restoreOne(ctx, saved)
}

// discard ends the machine and gives its tree up.
func (m *machine) discard(ctx context.Context) error {
	if err := m.unknown(); err != nil {
		return m.fail("write state", nil, err)
	}
	m.result.restored(m)
	return m.kill(ctx)
}
