package stage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Prune removes the snapshots that are filed under none of the plan's present keys,
// with what is recorded of them, and returns their names as "machine/snapshot". Those
// of the bases, of checkpoints and of failed stages stay; what is left of a checkpoint that
// was made or removed only in part does not. Going back to an earlier
// version of the plan then takes running its stages again.
func (l *Lab) Prune(ctx context.Context) ([]string, error) {
	r, unlock, err := l.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	keys := map[string]bool{}
	for _, t := range r.tracks {
		for i := range len(t.work) + 1 {
			keys[t.keyOf(i-1)] = true
		}
	}
	points, err := l.Checkpoints()
	if err != nil {
		return nil, err
	}
	var removed []string
	var errs []error
	for _, t := range r.tracks {
		for _, s := range t.saved {
			if s.Key == "" && !partOfNone(s, points) || keys[s.Key] {
				continue
			}
			err := t.target.Volume.Remove(ctx, s.Name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, &Error{Op: "remove", Machine: t.setup.Machine, Err: err})
				continue
			}
			removed = append(removed, t.setup.Machine+"/"+s.Name)
		}
	}
	return removed, errors.Join(append(errs, l.pruneRecords(keys, r.tracks))...)
}

// partOfNone reports whether a snapshot was made for a checkpoint that there is not.
func partOfNone(s Saved, points []Checkpoint) bool {
	name, ok := strings.CutPrefix(s.Name, checkpointPrefix)
	return ok && !slices.ContainsFunc(points, func(c Checkpoint) bool { return c.Name == name })
}

// pruneRecords keeps, besides the present ones, those of each stage's last completion,
// to which the present ones are compared.
func (l *Lab) pruneRecords(keys map[string]bool, tracks []*track) error {
	for _, t := range tracks {
		for _, key := range t.state.Keys {
			keys[key] = true
		}
	}
	var errs []error
	for _, dir := range []string{"recipes", "ports"} {
		entries, err := os.ReadDir(l.dir.path(dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if !keys[strings.TrimSuffix(e.Name(), ".json")] {
				errs = append(errs, os.Remove(l.dir.path(dir, e.Name())))
			}
		}
	}
	return errors.Join(errs...)
}

// keptRuns is how many runs' logs are kept.
const keptRuns = 20

// pruneLogs removes the logs of the oldest runs. Their names begin with the time.
func (d stateDir) pruneLogs() error {
	entries, err := os.ReadDir(d.path("logs"))
	if err != nil || len(entries) < keptRuns {
		return nil // there are none yet
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var errs []error
	for _, e := range entries[:len(entries)-keptRuns+1] {
		errs = append(errs, os.RemoveAll(d.path("logs", e.Name())))
	}
	return errors.Join(errs...)
}
