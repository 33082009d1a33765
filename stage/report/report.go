// Package report writes down what happened in a run, for programs and for people:
// JSON lines, JUnit XML, a trace for Perfetto, and one HTML page.
//
// A [Recorder] collects the events of a run. The reports are made from them at the end,
// or later from a file of JSON lines.
package report

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/prologin/rig/stage"
)

// Lines returns a function for [stage.Options] that writes each event as one line of
// JSON, as soon as it comes. failed is called once if that fails; it may be nil.
func Lines(w io.Writer, failed func(error)) func(stage.Event) {
	enc := json.NewEncoder(w)
	var once sync.Once
	return func(e stage.Event) {
		if err := enc.Encode(e); err != nil && failed != nil {
			once.Do(func() { failed(err) })
		}
	}
}

// Read reads what [Lines] wrote. A last line that is cut short, as a killed program
// leaves it, ends the events without an error.
func Read(r io.Reader) (*Recorder, error) {
	rec := new(Recorder)
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return rec, nil
		}
		if err != nil {
			return nil, err
		}
		var e stage.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rec.Event(e)
	}
}

// Recorder takes a run's events and keeps what the reports need. Its memory is
// bounded: of each stage's output it keeps the last lines. The zero value is ready.
// It may be used concurrently.
type Recorder struct {
	mu  sync.Mutex
	run run
}

// keptLines is how much of a stage's output a report has. The whole of it is in the
// stage's log file.
const keptLines = 200

// run is what the events say, put in order.
type run struct {
	Name       string
	Begin, End time.Time
	Err        string
	Machines   []*machine
	Notes      []string
}

type machine struct {
	Name   string
	Stages []*stageRun
	Spans  []*span // what it did besides stages
	doing  *span   // the last of them, until it ends
	last   time.Time
}

// span is something that took time. Its End is zero if the events end before it does.
type span struct {
	What, Err  string
	Begin, End time.Time
}

// until returns when something ended, or the end of what it is a part of.
func until(end, whole time.Time) time.Time {
	if end.IsZero() {
		return whole
	}
	return end
}

type stageRun struct {
	Machine, Name string
	Status        string // "cached", "skipped", "not wanted", "waiting", "running", "done", "failed", "blocked"
	Why, Key, Log string
	Err           string
	Begin, End    time.Time
	Steps         []*stepRun
	Checks        []*checkRun
	Output        []string
	Dropped       int // lines of output that were not kept
	Saved         *span
	How           string
}

type stepRun struct {
	Text, Err  string
	Begin, End time.Time
	Elapsed    time.Duration
}

type checkRun struct {
	Text, Seen string
	Elapsed    time.Duration
	Holds      bool
}

// Event takes one event. It fits in [stage.Options].
func (r *Recorder) Event(e stage.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Time = e.Time.Round(0) // as it is read back from a file
	r.run.add(e)
}

func (r *run) add(e stage.Event) {
	if e.Kind != stage.EventRunStarted && e.Time.Before(r.End) {
		e.Time = r.End // somebody set the clock back
	}
	r.End = e.Time
	if r.Begin.IsZero() {
		r.Begin = e.Time // lines whose beginning is lost
	}
	switch e.Kind {
	case stage.EventRunStarted:
		*r = run{Name: e.Text, Begin: e.Time, End: e.Time, Notes: r.Notes}
	case stage.EventRunEnded:
		r.Name, r.Err = cmp.Or(r.Name, e.Text), e.Err // one that never began has no name yet
	case stage.EventNote, stage.EventWaiting:
		text := e.Text
		if e.Machine != "" {
			text = e.Machine + ": " + text
		}
		r.Notes = append(r.Notes, text)
	}
	if e.Machine == "" {
		return
	}
	m := r.machine(e.Machine)
	m.add(e)
	if s := m.stage(e); s != nil {
		s.add(e)
	}
}

func (r *run) machine(name string) *machine {
	for _, m := range r.Machines {
		if m.Name == name {
			return m
		}
	}
	m := &machine{Name: name}
	r.Machines = append(r.Machines, m)
	return m
}

// add keeps when the machine was restored, started and stopped, from the events' times,
// so that what happens within something else also begins and ends within it.
func (m *machine) add(e stage.Event) {
	if e.Kind == stage.EventOutput || e.Kind == stage.EventNote {
		return
	}
	last := m.last
	m.last = e.Time
	switch e.Kind {
	case stage.EventRestoring:
		m.begin("restore", e.Time)
	case stage.EventMachineStarting:
		m.begin("start", e.Time)
	case stage.EventMachineStopped: // nothing announces it
		begin := e.Time.Add(-e.Elapsed)
		if begin.Before(last) {
			begin = last
		}
		m.end(begin, "")
		m.Spans = append(m.Spans, &span{What: "stop", Begin: begin, End: e.Time})
	case stage.EventSaving, stage.EventSaved: // may be a part of restoring the base
	default:
		m.end(e.Time, e.Err)
	}
}

func (m *machine) begin(what string, at time.Time) {
	m.end(at, "")
	m.doing = &span{What: what, Begin: at}
	m.Spans = append(m.Spans, m.doing)
}

// end ends what the machine is doing. A start that fails has no event of its own.
func (m *machine) end(at time.Time, err string) {
	if m.doing != nil {
		m.doing.End, m.doing.Err, m.doing = at, err, nil
	}
}

// stage returns the stage that an event is about, or nil if it is about none.
func (m *machine) stage(e stage.Event) *stageRun {
	if e.Kind == stage.EventRestoring || e.Kind == stage.EventRestored || e.Stage == "" {
		return nil
	}
	for _, s := range m.Stages {
		if s.Name == e.Stage {
			return s
		}
	}
	if e.Kind != stage.EventPlanned {
		return nil // the base's snapshot
	}
	s := &stageRun{Machine: m.Name, Name: e.Stage}
	m.Stages = append(m.Stages, s)
	return s
}

func (s *stageRun) add(e stage.Event) {
	switch e.Kind {
	case stage.EventPlanned:
		s.Status, s.Why, s.Key = e.Text, e.Why, e.Key
		if s.Status == "run" {
			s.Status = "waiting"
		}
	case stage.EventStageStarted:
		s.Status, s.Why, s.Begin = "running", e.Why, e.Time
	case stage.EventStageEnded:
		s.Status, s.End, s.Log, s.Err = "done", e.Time, e.Log, e.Err
		if e.Err != "" {
			s.Status = "failed"
		}
	case stage.EventStageBlocked:
		s.Status, s.Err = "blocked", e.Err
	case stage.EventStepStarted:
		s.Steps = append(s.Steps, &stepRun{Text: e.Text, Begin: e.Time})
	case stage.EventStepEnded:
		if n := len(s.Steps); n > 0 {
			s.Steps[n-1].End, s.Steps[n-1].Elapsed, s.Steps[n-1].Err = e.Time, e.Elapsed, e.Err
		}
	case stage.EventOutput:
		if len(s.Output) == keptLines {
			s.Output = append(s.Output[:0], s.Output[1:]...)
			s.Dropped++
		}
		s.Output = append(s.Output, e.Text)
	case stage.EventCheckWaiting, stage.EventCheckFailed, stage.EventCheckPassed:
		s.check(e)
		if e.Kind == stage.EventCheckFailed && s.Status == "cached" { // nothing announces its end
			s.Status, s.Err = "failed", "check failed: "+e.Text+": seen instead: "+e.Err
		}
	case stage.EventSaving:
		s.Saved, s.How = &span{What: "save", Begin: e.Time}, e.Why
	case stage.EventSaved:
		if s.Saved != nil {
			s.Saved.End, s.Saved.Err = e.Time, e.Err
		}
	}
}

// maxChecks is more than any stage has: beyond it, a file of events is damaged.
const maxChecks = 1 << 16

func (s *stageRun) check(e stage.Event) {
	if e.Index < 1 || e.Index > maxChecks {
		return
	}
	for len(s.Checks) < e.Index {
		s.Checks = append(s.Checks, new(checkRun))
	}
	c := s.Checks[e.Index-1]
	c.Text, c.Elapsed, c.Holds = e.Text, e.Elapsed, e.Kind == stage.EventCheckPassed
	if e.Err != "" {
		c.Seen = e.Err
	}
}
