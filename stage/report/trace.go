package report

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"time"
)

// traceEvent is one element of the trace event format, which Perfetto and
// chrome://tracing read. Times are in microseconds, with a fraction: cut to whole ones,
// a slice could end after the one that it is within.
type traceEvent struct {
	Name     string            `json:"name"`
	Category string            `json:"cat,omitempty"`
	Phase    string            `json:"ph"`
	Time     float64           `json:"ts"`
	Duration float64           `json:"dur"`
	Process  int               `json:"pid"`
	Thread   int               `json:"tid"`
	Args     map[string]string `json:"args,omitempty"`
}

// Trace writes the run in the trace event format: a thread for each machine, with its
// stages and, within them, the steps.
func (r *Recorder) Trace(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := []traceEvent{named("process_name", 0, r.run.Name)}
	for i, m := range r.run.Machines {
		events = append(events, named("thread_name", i+1, m.Name))
		for _, s := range m.slices(r.run.End) {
			events = append(events, s.event(r.run.Begin, i+1))
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ms"})
}

// named gives the process, or a thread of it, its name.
func named(what string, thread int, name string) traceEvent {
	return traceEvent{Name: what, Phase: "M", Process: 1, Thread: thread, Args: map[string]string{"name": name}}
}

// slice is something that a machine did. Of two slices of a machine one comes after the
// other or is within it.
type slice struct {
	name, category string
	from, to       time.Time
	args           map[string]string
}

func (s slice) event(begin time.Time, thread int) traceEvent {
	return traceEvent{
		Name: s.name, Category: s.category, Phase: "X", Process: 1, Thread: thread, Args: s.args,
		Time: microseconds(s.from.Sub(begin)), Duration: microseconds(s.to.Sub(s.from)),
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// slices lists all that the machine did in the order in which it began, the outer before
// the inner. The run ended at end.
func (m *machine) slices(end time.Time) (all []slice) {
	for _, s := range m.Stages {
		if !s.Begin.IsZero() {
			all = append(all, s.slices(until(s.End, end))...)
		}
	}
	for _, s := range m.Spans {
		all = append(all, slice{s.What, "machine", s.Begin, until(s.End, end), map[string]string{"error": s.Err}})
	}
	slices.SortStableFunc(all, func(a, b slice) int {
		return cmp.Or(a.from.Compare(b.from), b.to.Compare(a.to))
	})
	return all
}

func (s *stageRun) slices(end time.Time) []slice {
	all := []slice{{s.Name, "stage", s.Begin, end, map[string]string{"why": s.Why, "key": s.Key, "error": s.Err}}}
	for _, step := range s.Steps {
		all = append(all, slice{step.Text, "step", step.Begin, until(step.End, end), map[string]string{"error": step.Err}})
	}
	if s.Saved != nil {
		all = append(all, slice{"save", "save", s.Saved.Begin, until(s.Saved.End, end), map[string]string{"machine": s.How, "error": s.Saved.Err}})
	}
	return all
}
