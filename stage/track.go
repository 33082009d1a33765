package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// track is one machine in one run: what there is, and what is to be done.
type track struct {
	setup  *Setup
	target Target
	state  *machineState
	saved  []Saved
	work   []*work

	baseKey string
	goal    int  // index of the last stage wanted, -1 for none
	resume  int  // index of the newest stage with a snapshot, -1 for the base
	clean   bool // the tree is that of resume already
	running bool // the machine runs
	up      bool // the machine must run
	woken   bool // it must because of a stage that was thought to be cached

	warned bool   // that the machine cannot be frozen
	binds  []Bind // what the machine was started with, or will be
}

// work is one stage in one run.
type work struct {
	*Stage
	ref    ref
	node   int
	recipe *Recipe
	key    string
	parent string // key of the stage before it
	skip   string
	forced string
	wanted bool
	run    bool
	why    string
	done   latch
}

// latch is closed once, with or without an error.
type latch struct {
	ch  chan struct{}
	err error
}

func (l *latch) close(err error) {
	l.err = err
	close(l.ch)
}

// keyOf returns the key of the stage at index i, or of the base for -1.
func (t *track) keyOf(i int) string {
	if i < 0 {
		return t.baseKey
	}
	return t.work[i].key
}

// newest returns the newest snapshot with the given key that is not stale.
func (t *track) newest(key string) (Saved, bool) {
	for _, s := range slices.Backward(t.saved) {
		if s.Key == key && key != "" && !t.state.stale(s.Name) {
			return s, true
		}
	}
	if t.target.Volume == nil && t.recorded(key) {
		return Saved{Key: key}, true
	}
	return Saved{}, false
}

// recorded reports whether the records have a stage completed under the key. Where no
// volume is at hand they are the best there is.
func (t *track) recorded(key string) bool {
	for _, k := range t.state.Keys {
		if k == key {
			return len(t.state.Stale) == 0
		}
	}
	return false
}

// tracks looks at everything and decides what to do, without changing anything.
func (l *Lab) tracks(ctx context.Context, s Steering) ([]*track, error) {
	st, err := l.steer(s)
	if err != nil {
		return nil, err
	}
	tracks, err := l.load(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.compute(ctx, tracks, st); err != nil {
		return nil, err
	}
	for _, t := range tracks {
		t.decide(s)
	}
	l.reasons(tracks)
	l.demand(tracks, s)
	return tracks, nil
}

// load reads what is known of each machine.
func (l *Lab) load(ctx context.Context) ([]*track, error) {
	var tracks []*track
	node := 0
	for i := range l.plan.Setups {
		setup := &l.plan.Setups[i]
		t := &track{setup: setup, target: l.opts.Targets[setup.Machine], goal: -1, resume: -1}
		var err error
		if t.state, err = l.dir.loadMachine(setup.Machine); err != nil {
			return nil, &Error{Op: "read state", Machine: setup.Machine, Err: err}
		}
		if t.target.Volume != nil {
			if t.saved, err = t.target.Volume.Saved(ctx); err != nil {
				return nil, &Error{Op: "list snapshots", Machine: setup.Machine, Err: err}
			}
			if t.running, err = t.target.Machine.Running(ctx); err != nil {
				return nil, &Error{Op: "look for the machine", Machine: setup.Machine, Err: err}
			}
		}
		for n := range setup.Stages {
			t.work = append(t.work, &work{
				Stage: &setup.Stages[n],
				ref:   ref{setup.Machine, setup.Stages[n].Name},
				node:  node,
				done:  latch{ch: make(chan struct{})},
			})
			node++
		}
		tracks = append(tracks, t)
	}
	return tracks, nil
}

// base is the setup's, or what it was in the last run if nothing is at hand to tell.
func (t *track) base() string {
	if t.setup.Base == "" && t.target.Volume == nil {
		return t.state.Base
	}
	return t.setup.Base
}

// compute fills in the keys, in an order in which those needed come first.
func (l *Lab) compute(ctx context.Context, tracks []*track, st steered) error {
	byNode := make([]*work, len(l.graph.nodes))
	previous := make([]*work, len(l.graph.nodes))
	base := make([]string, len(l.graph.nodes))
	for _, t := range tracks {
		base0 := Recipe{}
		base0.Text("base", t.base())
		t.baseKey, _ = base0.key()
		for i, w := range t.work {
			byNode[w.node], base[w.node] = w, t.baseKey
			if i > 0 {
				previous[w.node] = t.work[i-1]
			}
		}
	}
	var faults []error
	keys := map[string]string{}
	for _, i := range l.graph.order() {
		w := byNode[i]
		w.wanted, w.skip, w.forced = st.wanted[i], st.skip[i], st.forced[i]
		w.parent = base[i]
		if previous[i] != nil {
			w.parent = previous[i].key
		}
		w.key = w.parent
		if w.skip == "" {
			w.recipe = w.Stage.recipe(ctx, w.parent, keys, l.hasher, l.secret)
			key, err := w.recipe.key()
			if err != nil {
				faults = append(faults, &Error{Op: "read inputs", Machine: w.ref.machine, Stage: w.ref.stage, Err: err})
			}
			w.key = key
		}
		keys[w.ref.String()] = w.key
	}
	if err := l.hasher.cache.save(); err != nil {
		l.log.Debug("hashes not kept", "err", err)
	}
	return errors.Join(faults...)
}

// decide finds the newest snapshot that still matches.
func (t *track) decide(s Steering) {
	for i, w := range t.work {
		if w.wanted {
			t.goal = i
		}
	}
	for i := t.goal; i >= 0; i-- {
		if w := t.work[i]; w.skip == "" && w.forced == "" {
			if _, ok := t.newest(w.key); ok {
				t.resume = i
				break
			}
		}
	}
	for i := t.resume + 1; i <= t.goal; i++ {
		t.work[i].run = t.work[i].skip == ""
	}
	t.binds = t.bindsAfter(t.resume)
	t.clean = !s.Restore && t.state.Clean && t.state.Tree == t.keyOf(t.resume) && (t.running || !t.state.Up)
}

// demand finds the machines that must run.
func (l *Lab) demand(tracks []*track, s Steering) {
	needed := map[string]bool{}
	for _, t := range tracks {
		for _, w := range t.work {
			if w.run {
				needed[t.setup.Machine] = true
				for _, need := range w.Needs {
					r, _ := parseRef(need)
					needed[r.machine] = true
				}
			}
		}
		if t.goal >= 0 && !s.Offline {
			needed[t.setup.Machine] = true
		}
	}
	for _, t := range tracks {
		t.up = needed[t.setup.Machine]
	}
}

// reasons says why each stage runs.
func (l *Lab) reasons(tracks []*track) {
	runs := map[string]bool{}
	for _, t := range tracks {
		for _, w := range t.work {
			runs[w.ref.String()] = w.run
		}
	}
	for _, t := range tracks {
		for i, w := range t.work {
			switch {
			case !w.wanted:
			case w.skip != "":
				w.why = w.skip
			case !w.run:
				w.why = "snapshot " + short(w.key)
			default:
				w.why = l.reason(t, i, runs)
			}
		}
	}
}

func (l *Lab) reason(t *track, i int, runs map[string]bool) string {
	w := t.work[i]
	if w.forced == w.ref.String() {
		return "asked for"
	}
	if w.forced != "" {
		return "comes after " + w.forced + ", which was asked for"
	}
	last, ok := t.state.Keys[w.Name]
	if !ok {
		if _, found := t.newest(w.key); !found {
			return "never completed"
		}
	}
	if ok && last != w.key {
		if changes := compare(l.dir.loadRecipe(last), w.recipe); len(changes) > 0 {
			return summary(changes)
		}
		return "its recipe changed"
	}
	for j := i - 1; j > t.resume; j-- {
		if t.work[j].run {
			return "comes after " + t.work[j].Name
		}
	}
	for _, need := range w.Needs {
		if runs[need] {
			return "needs " + need
		}
	}
	for _, s := range t.saved {
		if s.Key == w.key {
			return "an earlier run was told to run it again"
		}
	}
	return fmt.Sprintf("its snapshot %s is gone", short(w.key))
}

// short returns as much of a key as people and file names need.
func short(key string) string { return key[:min(len(key), 12)] }
