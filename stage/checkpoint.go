package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/internal/nearest"
	"github.com/prologin/rig/stage/internal/name"
)

// Checkpoint is one name for the state of all machines at one moment.
type Checkpoint struct {
	Name string
	Time time.Time

	// Trees has one element for each machine, by name.
	Trees map[string]CheckpointTree
}

// CheckpointTree is one machine's part of a [Checkpoint].
type CheckpointTree struct {
	// Snapshot is the name in the machine's volume.
	Snapshot string

	// Key is that of the stage that the tree had completed, or empty if it was in
	// the middle of one.
	Key string

	// Running says whether the machine was up.
	Running bool

	// Binds is what a machine that was up saw of the host.
	Binds []Bind `json:",omitempty"`
}

// checkpointPrefix begins the names of a checkpoint's snapshots. Unlike a stage's they
// have no key.
const checkpointPrefix = "checkpoint-"

// Checkpoint saves the trees of all machines at one moment under one name. All that
// run are frozen together while it is done; one that is no [Freezer] makes it fail with
// [ErrNotSupported]. A name in use is an error that matches [fs.ErrExist].
func (l *Lab) Checkpoint(ctx context.Context, name string) (c Checkpoint, err error) {
	if err := checkCheckpoint(name); err != nil {
		return c, err
	}
	r, unlock, err := l.begin(ctx)
	if err != nil {
		return c, err
	}
	defer unlock()
	if _, err := os.Stat(l.checkpointFile(name)); err == nil {
		return c, fmt.Errorf("checkpoint %q: %w", name, fs.ErrExist)
	}
	c = Checkpoint{Name: name, Time: time.Now(), Trees: map[string]CheckpointTree{}}
	for _, t := range r.tracks {
		if _, ok := t.target.Machine.(Freezer); t.running && !ok {
			return c, &Error{Op: "freeze", Machine: t.setup.Machine, Err: ErrNotSupported}
		}
		tree := CheckpointTree{Snapshot: checkpointPrefix + name, Running: t.running}
		if t.state.Clean {
			tree.Key = t.state.Tree
		}
		if t.running {
			tree.Binds = t.state.Binds
		}
		c.Trees[t.setup.Machine] = tree
	}
	if err := r.saveTogether(ctx, checkpointPrefix+name); err != nil {
		return c, err
	}
	data, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return c, err
	}
	if err := os.MkdirAll(filepath.Dir(l.checkpointFile(name)), 0o755); err != nil {
		return c, err
	}
	return c, writeFile(l.checkpointFile(name), append(data, '\n'), 0o644)
}

// checkCheckpoint refuses, among others, a name that leads to another file.
func checkCheckpoint(point string) error {
	if err := name.Check(point); err != nil {
		return fmt.Errorf("checkpoint %q: %w: %v", point, ErrInvalid, err)
	}
	return nil
}

func (l *Lab) checkpointFile(name string) string { return l.dir.path("checkpoints", name+".json") }

// saveTogether freezes all machines, saves all trees and thaws all machines.
func (r *run) saveTogether(ctx context.Context, name string) (err error) {
	running := func(f func(Freezer, *machine) error) error {
		return r.each(func(m *machine) error {
			if !m.running {
				return nil
			}
			if err := f(m.target.Machine.(Freezer), m); err != nil {
				return m.fail("freeze", nil, err)
			}
			return nil
		})
	}
	if err := running(func(_ Freezer, m *machine) error { return m.flush(ctx) }); err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		err = errors.Join(err, running(func(f Freezer, _ *machine) error { return f.Thaw(ctx) }))
	}()
	if err := running(func(f Freezer, _ *machine) error { return f.Freeze(ctx) }); err != nil {
		return err
	}
	return r.each(func(m *machine) error {
		// What an earlier attempt left that did not get to the end is no checkpoint.
		err := m.target.Volume.Remove(ctx, name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = m.target.Volume.Save(ctx, Saved{Name: name})
		}
		if err != nil {
			return m.fail("save", nil, err)
		}
		return nil
	})
}

// Checkpoints lists the checkpoints, oldest first.
func (l *Lab) Checkpoints() ([]Checkpoint, error) {
	names, err := l.checkpointNames()
	if err != nil {
		return nil, err
	}
	var out []Checkpoint
	for _, name := range names {
		c, err := l.loadCheckpoint(name)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Checkpoint) int { return a.Time.Compare(b.Time) })
	return out, nil
}

func (l *Lab) checkpointNames() (names []string, err error) {
	entries, err := os.ReadDir(l.dir.path("checkpoints"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (l *Lab) loadCheckpoint(name string) (c Checkpoint, err error) {
	data, err := os.ReadFile(l.checkpointFile(name))
	if errors.Is(err, fs.ErrNotExist) {
		known, _ := l.checkpointNames()
		return c, fmt.Errorf("checkpoint %q: %w%s", name, ErrNotFound, nearest.Hint(name, known))
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		err = fmt.Errorf("checkpoint %q: %w", name, err)
	}
	return c, err
}

// beginAt begins, and reads a checkpoint.
func (l *Lab) beginAt(ctx context.Context, name string) (r *run, c Checkpoint, unlock func(), err error) {
	if err = checkCheckpoint(name); err != nil {
		return nil, c, nil, err
	}
	if r, unlock, err = l.begin(ctx); err != nil {
		return nil, c, nil, err
	}
	if c, err = l.loadCheckpoint(name); err != nil {
		unlock()
	}
	return r, c, unlock, err
}

// RestoreCheckpoint makes all trees those of a checkpoint, and starts the machines
// that ran then. A machine that the checkpoint does not have is left alone, and named in an
// [EventNote].
func (l *Lab) RestoreCheckpoint(ctx context.Context, name string) error {
	r, c, unlock, err := l.beginAt(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	for _, t := range r.tracks {
		tree, ok := c.Trees[t.setup.Machine]
		has := slices.ContainsFunc(t.saved, func(s Saved) bool { return s.Name == tree.Snapshot })
		if ok && !has {
			return &Error{Op: "restore", Machine: t.setup.Machine, Err: fmt.Errorf("snapshot %s: %w", tree.Snapshot, ErrNotFound)}
		}
	}
	return r.each(func(m *machine) error {
		tree, ok := c.Trees[m.setup.Machine]
		if !ok {
			m.note("it is left as it is: the checkpoint %s does not have it", name)
			return nil
		}
		if err := m.discard(ctx); err != nil {
			return err
		}
		m.resume = -1
		if err := m.restoreOne(ctx, Saved{Name: tree.Snapshot, Key: tree.Key}); err != nil {
			return err
		}
		if !tree.Running {
			return nil
		}
		m.binds = tree.Binds
		return m.start(ctx)
	})
}

// RemoveCheckpoint deletes a checkpoint and its snapshots.
func (l *Lab) RemoveCheckpoint(ctx context.Context, name string) error {
	r, c, unlock, err := l.beginAt(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	// The record first: half a checkpoint must not be taken for one.
	if err := os.Remove(l.checkpointFile(name)); err != nil {
		return err
	}
	return r.each(func(m *machine) error {
		err := m.target.Volume.Remove(ctx, c.Trees[m.setup.Machine].Snapshot)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return m.fail("remove", nil, err)
		}
		return nil
	})
}
