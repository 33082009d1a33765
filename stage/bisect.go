package stage

import (
	"context"
	"errors"
	"fmt"
)

// Bisect returns the first stage of a machine after which a check does not hold, given
// that it held at the beginning and, once broken, stayed so. It restores the tree of
// ⌈log₂ n⌉ of the n stages that have snapshots, starts the machine and makes the check,
// with the time that the stage gives its own; other machines stay as they are. The
// machine is left with the tree of the last stage looked at. One more is restored if it
// is the last stage that is left, and nobody has seen the check fail there.
//
// It fails with [ErrNotFound] if the check holds after the last stage, or if there are no
// snapshots.
func (l *Lab) Bisect(ctx context.Context, machineName string, c Check) (stage string, err error) {
	r, unlock, err := l.begin(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	for _, t := range r.tracks {
		if t.setup.Machine == machineName {
			return (&machine{run: r, track: t}).bisect(ctx, c)
		}
	}
	return "", fmt.Errorf("machine %q: %w", machineName, ErrNotFound)
}

func (m *machine) bisect(ctx context.Context, c Check) (string, error) {
	var points []int
	for i, w := range m.work {
		if _, ok := m.newest(w.key); ok && w.skip == "" {
			points = append(points, i)
		}
	}
	if len(points) == 0 {
		return "", fmt.Errorf("machine %q: snapshots: %w", m.setup.Machine, ErrNotFound)
	}
	last := points[len(points)-1]
	failed := false
	if m.clean && m.running && m.state.Tree == m.keyOf(last) {
		holds, err := m.holds(ctx, last, c)
		if err != nil {
			return "", err
		}
		if holds {
			return "", neverFails(c)
		}
		failed = true
	}
	// It is known to hold before low, and not to hold after high, if failed is set.
	low, high := 0, len(points)-1
	for low < high || !failed {
		middle := (low + high) / 2
		holds, err := m.holdsAfter(ctx, points[middle], c)
		switch {
		case err != nil:
			return "", err
		case !holds:
			high, failed = middle, true
		case low == high:
			return "", neverFails(c)
		default:
			low = middle + 1
		}
	}
	return m.work[points[low]].Name, nil
}

func neverFails(c Check) error {
	return fmt.Errorf("stage after which this does not hold: %v: %w", c, ErrNotFound)
}

// holdsAfter gives the machine the tree of the stage at index i and makes a check.
func (m *machine) holdsAfter(ctx context.Context, i int, c Check) (bool, error) {
	if err := m.exactly(ctx, i); err != nil {
		return false, err
	}
	if err := m.start(ctx); err != nil {
		return false, err
	}
	return m.holds(ctx, i, c)
}

// holds makes a check once the machine has the tree of the stage at index i.
func (m *machine) holds(ctx context.Context, i int, c Check) (bool, error) {
	w := m.work[i]
	out, err := newOutput("", m.secret.redact, nil)
	if err != nil {
		return false, err
	}
	defer out.Close()
	e := Event{Machine: m.setup.Machine, Stage: w.Name, Index: 1, Total: 1, Text: c.String()}
	_, err = m.check(ctx, w, m.session(w, out), c, e)
	if errors.Is(err, ErrCheck) {
		return false, nil
	}
	return err == nil, err
}
