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
// machine is left with the tree of the last stage looked at.
//
// It fails with [ErrNotFound] if the tree is that of the last stage and the check
// holds there, or if there are no snapshots.
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
	if m.clean && m.running && m.state.Tree == m.keyOf(last) {
		holds, err := m.holds(ctx, last, c)
		if err != nil {
			return "", err
		}
		if holds {
			return "", fmt.Errorf("stage after which %q does not hold: %w", c, ErrNotFound)
		}
	}
	// It is known to hold before low, and not to hold after high.
	low, high := 0, len(points)-1
	for low < high {
		middle := (low + high) / 2
		if err := m.exactly(ctx, points[middle]); err != nil {
			return "", err
		}
		if err := m.start(ctx); err != nil {
			return "", err
		}
		holds, err := m.holds(ctx, points[middle], c)
		if err != nil {
			return "", err
		}
		if holds {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return m.work[points[low]].Name, nil
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
