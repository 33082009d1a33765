package report

import (
	"encoding/json"
	"io"
	"time"
)

// traceEvent is one element of the trace event format, which Perfetto and
// chrome://tracing read. Times are in microseconds.
type traceEvent struct {
	Name     string            `json:"name"`
	Category string            `json:"cat,omitempty"`
	Phase    string            `json:"ph"`
	Time     int64             `json:"ts"`
	Duration int64             `json:"dur,omitempty"`
	Process  int               `json:"pid"`
	Thread   int               `json:"tid"`
	Args     map[string]string `json:"args,omitempty"`
}

// Trace writes the run in the trace event format: a thread for each machine, with its
// stages and, within them, the steps.
func (r *Recorder) Trace(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin := r.run.Begin
	events := []traceEvent{{Name: "process_name", Phase: "M", Process: 1, Args: map[string]string{"name": r.run.Name}}}
	for i, m := range r.run.Machines {
		slice := func(name, category string, from, to time.Time, args map[string]string) {
			events = append(events, traceEvent{
				Name: name, Category: category, Phase: "X", Process: 1, Thread: i + 1, Args: args,
				Time: from.Sub(begin).Microseconds(), Duration: max(1, to.Sub(from).Microseconds()),
			})
		}
		events = append(events, traceEvent{Name: "thread_name", Phase: "M", Process: 1, Thread: i + 1, Args: map[string]string{"name": m.Name}})
		for _, s := range m.Spans {
			slice(s.What, "machine", s.Begin, s.End, nil)
		}
		for _, s := range m.Stages {
			if s.Begin.IsZero() {
				continue
			}
			end := s.End
			if end.IsZero() {
				end = r.run.End
			}
			slice(s.Name, "stage", s.Begin, end, map[string]string{"why": s.Why, "key": s.Key, "error": s.Err})
			for _, step := range s.Steps {
				slice(step.Text, "step", step.Begin, step.Begin.Add(step.Elapsed), nil)
			}
			if s.Saved.What != "" {
				slice(s.Saved.What, "save", s.Saved.Begin, s.Saved.End, map[string]string{"machine": s.How})
			}
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ms"})
}
