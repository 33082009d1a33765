package stage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A check is looked at again after 20 ms, then less and less often, since there is
// no event that would tell when what it looks at changes.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// maxRounds limits how often all checks of a stage are made again because one of
// them did not hold at once.
const maxRounds = 5

// checks returns when all checks of a stage hold. If one of them had to be waited
// for, all are made again, so that the tree is not saved while something still flaps.
func (m *machine) checks(ctx context.Context, w *work, s *Session, out *output) error {
	for round := 1; ; round++ {
		waited := ""
		for i, c := range w.Checks {
			e := Event{Machine: m.setup.Machine, Stage: w.Name, Index: i + 1, Total: len(w.Checks), Text: c.String()}
			looks, err := m.check(ctx, w, s, c, e)
			if err != nil {
				err := m.describe(ctx, "check", w, c.String(), err)
				err.Log = out.name
				if ctx.Err() == nil {
					err.Output = m.journal(ctx, s, c)
				}
				return err
			}
			if looks > 1 {
				waited = c.String()
			}
		}
		if waited == "" {
			return nil
		}
		if round == maxRounds {
			return m.describe(ctx, "check", w, waited, fmt.Errorf("%w: it comes and goes", ErrCheck))
		}
	}
}

// check looks until the check holds or its time is over, and returns how often.
func (m *machine) check(ctx context.Context, w *work, s *Session, c Check, e Event) (looks int, err error) {
	limit := w.CheckTimeout
	if limit == 0 {
		limit = defaultCheckTimeout
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	seen, since := "", start
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		looks++
		err := c.Probe(ctx, s)
		e.Elapsed = time.Since(start)
		if err == nil {
			e.Kind, e.Err = EventCheckPassed, ""
			m.emit(e)
			return looks, nil
		}
		if outer.Err() != nil {
			return looks, context.Cause(outer)
		}
		// What a probe says that was cut off by the deadline is of no interest.
		if now := visible(m.secret.redactText(err.Error())); ctx.Err() == nil && now != seen {
			seen, since = now, time.Now()
			e.Kind, e.Err = EventCheckWaiting, seen
			m.emit(e)
		} else if seen == "" {
			seen = now
		}
		if errors.Is(err, ErrInvalid) || sleep(ctx, pause) != nil {
			if outer.Err() != nil {
				return looks, context.Cause(outer)
			}
			e.Kind, e.Err = EventCheckFailed, seen
			m.emit(e)
			return looks, fmt.Errorf("%w after %v: seen instead, since %s: %s", ErrCheck,
				time.Since(start).Round(time.Millisecond), since.Format("15:04:05.000"), seen)
		}
	}
}

// journal returns what the machine's journal has to say about a check that failed.
func (m *machine) journal(ctx context.Context, s *Session, c Check) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	unit := ""
	if u, ok := c.(Unit); ok {
		unit = u.Unit()
	}
	return s.journal(ctx, unit)
}

// verify makes the checks of the last stage again. The tree stays what it was.
func (m *machine) verify(ctx context.Context) error {
	for i := m.goal; i >= 0; i-- {
		w := m.work[i]
		if w.skip != "" {
			continue
		}
		out, err := newOutput("", m.secret.redact, nil)
		if err != nil {
			return m.fail("check", w, err)
		}
		defer out.Close()
		return m.checks(ctx, w, m.session(w, out), out)
	}
	return nil
}
