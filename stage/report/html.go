package report

import (
	_ "embed" // for the page's template
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/human"
)

//go:embed page.html
var pageText string

// Page is what an HTML report has besides the events.
type Page struct {
	// Plan gives the topology: who needs whom.
	Plan stage.Plan

	// Diffs says what stages changed, by "machine/stage". It may be nil.
	Diffs map[string]*stage.Difference
}

// HTML writes the run as one page that needs nothing else: no script of others, no
// font, no network. It can be used by keyboard and follows the reader's choice of light
// or dark.
func (r *Recorder) HTML(w io.Writer, p Page) error {
	t, err := template.New("page").Funcs(template.FuncMap{"took": human.Duration, "join": strings.Join}).Parse(pageText)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return t.Execute(w, p.data(&r.run))
}

// pageData is what the template shows.
type pageData struct {
	*run
	Elapsed  time.Duration
	Counts   []count
	Lanes    []lane
	Ticks    []tick
	Topology topology
	Stages   []pageStage
}

type count struct {
	Status string
	N      int
}

// lane is a machine's part of the timeline, in percent of its width.
type lane struct {
	Name string
	Bars []bar
	Tail []*stageRun
}

type bar struct {
	From, Width float64
	Class, Text string
	ID          string
}

type tick struct {
	At   float64
	Text string
}

type pageStage struct {
	*stageRun
	ID    string
	Needs []string
	Doc   string
	Open  bool
	Diff  *stage.Difference
}

// maxFiles is how many changed files a page lists of a stage.
const maxFiles = 500

// Files returns the first of the files that the stage changed.
func (s pageStage) Files() []stage.FileChange { return s.Diff.Files[:min(len(s.Diff.Files), maxFiles)] }

// More returns how many files are not listed.
func (s pageStage) More() int { return len(s.Diff.Files) - len(s.Files()) }

func (p Page) data(r *run) pageData {
	d := pageData{run: r, Elapsed: r.End.Sub(r.Begin), Topology: layOut(p.Plan), Ticks: ticks(r.End.Sub(r.Begin))}
	counts := map[string]int{}
	for _, m := range r.Machines {
		d.Lanes = append(d.Lanes, m.lane(r))
		for _, s := range m.Stages {
			counts[s.Status]++
			ps := pageStage{stageRun: s, ID: id(s), Open: s.Status == "failed", Diff: p.Diffs[s.Machine+"/"+s.Name]}
			if st := find(p.Plan, s); st != nil {
				ps.Needs, ps.Doc = st.Needs, st.Doc
			}
			d.Stages = append(d.Stages, ps)
		}
	}
	for _, status := range []string{"failed", "blocked", "running", "done", "cached", "skipped", "not wanted", "waiting"} {
		if n := counts[status]; n > 0 {
			d.Counts = append(d.Counts, count{status, n})
		}
	}
	return d
}

func id(s *stageRun) string { return s.Machine + "/" + s.Name }

func find(p stage.Plan, s *stageRun) *stage.Stage {
	for _, setup := range p.Setups {
		for i := range setup.Stages {
			if setup.Machine == s.Machine && setup.Stages[i].Name == s.Name {
				return &setup.Stages[i]
			}
		}
	}
	return nil
}

func (m *machine) lane(r *run) lane {
	total := float64(max(r.End.Sub(r.Begin), time.Millisecond))
	place := func(from, to time.Time) (float64, float64) {
		return 100 * float64(from.Sub(r.Begin)) / total, max(0.15, 100*float64(to.Sub(from))/total)
	}
	l := lane{Name: m.Name, Tail: m.Stages}
	for _, s := range m.Stages {
		if s.Begin.IsZero() {
			continue
		}
		end := until(s.End, r.End)
		b := bar{Class: s.Status, Text: fmt.Sprintf("%s, %s", s.Name, human.Duration(end.Sub(s.Begin))), ID: id(s)}
		b.From, b.Width = place(s.Begin, end)
		l.Bars = append(l.Bars, b)
	}
	for _, s := range m.Spans {
		end := until(s.End, r.End)
		b := bar{Class: "machine", Text: fmt.Sprintf("%s, %s", s.What, human.Duration(end.Sub(s.Begin)))}
		b.From, b.Width = place(s.Begin, end)
		l.Bars = append(l.Bars, b)
	}
	return l
}

// ticks divides a time into some five round parts.
func ticks(total time.Duration) (out []tick) {
	step := time.Millisecond
	for i := 0; step < total/6; i++ {
		step = step * []time.Duration{2, 5, 2}[i%3] / []time.Duration{1, 2, 1}[i%3]
	}
	for at := time.Duration(0); at <= total && total > 0; at += step {
		out = append(out, tick{100 * float64(at) / float64(total), human.Duration(at)})
	}
	return out
}
