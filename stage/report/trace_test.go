package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/report"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

// traced is one slice of a trace, in nanoseconds.
type traced struct {
	name, category string
	begin, end     int64
	within         string
}

// trace reads a trace as Perfetto does, thread by thread, and fails the test for a slice
// that ends after one that it begins in.
func trace(t *testing.T, rec *report.Recorder) map[string][]traced {
	t.Helper()
	var file struct {
		TraceEvents []struct {
			Name, Ph, Cat string
			Ts, Dur       float64
			Tid           int
			Args          struct{ Name string }
		}
	}
	if err := json.Unmarshal(render(t, "trace.json", func(b *bytes.Buffer) error { return rec.Trace(b) }), &file); err != nil {
		t.Fatal(err)
	}
	threads, names := map[string][]traced{}, map[int]string{}
	for _, e := range file.TraceEvents {
		if e.Ph == "M" {
			names[e.Tid] = e.Args.Name
			continue
		}
		begin := int64(math.Round(e.Ts * 1e3))
		s := traced{name: e.Name, category: e.Cat, begin: begin, end: begin + int64(math.Round(e.Dur*1e3))}
		if s.begin < 0 || s.end < s.begin {
			t.Errorf("times of %+v", s)
		}
		threads[names[e.Tid]] = append(threads[names[e.Tid]], s)
	}
	for machine, all := range threads {
		nest(t, machine, all)
	}
	return threads
}

func nest(t *testing.T, machine string, all []traced) {
	t.Helper()
	var open []traced
	for i := range all {
		s := &all[i]
		for len(open) > 0 && open[len(open)-1].end <= s.begin && open[len(open)-1].end < s.end {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			outer := open[len(open)-1]
			s.within = outer.name
			if s.begin < outer.begin || s.end > outer.end {
				t.Errorf("%s: %+v is not within %+v", machine, *s, outer)
			}
		}
		open = append(open, *s)
	}
}

func TestTrace(t *testing.T) {
	t.Parallel()
	rec, _ := record(t, plan())
	var stages []string
	for _, machine := range []string{"gw", "web", "pas"} {
		for _, s := range trace(t, rec)[machine] {
			if s.category == "stage" {
				stages = append(stages, s.name)
			}
		}
	}
	if want := []string{"nginx", "copy"}; !slices.Equal(stages, want) {
		t.Errorf("stages %q, want %q", stages, want)
	}
}

// TestTraceNests runs what puts things within others: a reboot, a machine that is
// powered off to be saved, and failures of a step and of a start.
func TestTraceNests(t *testing.T) {
	t.Parallel()
	p := stage.Plan{Name: "nests"}
	for _, name := range []string{"gw", "web"} {
		s := stage.Setup{Machine: name, Quiesce: stage.QuiesceStop}
		for _, n := range []string{"a", "b", "c"} {
			s.Stages = append(s.Stages, stage.Stage{Name: n, Steps: []stage.Step{
				step.Command("echo", n), step.Reboot{}, step.Command("echo", "done"),
			}})
		}
		p.Setups = append(p.Setups, s)
	}
	p.Setups[1].Stages[2].Steps[2] = step.Command("cat", "/missing")
	rec, _ := record(t, p, func(name string, m *stagetest.Machine) {
		if name == "gw" {
			m.Fail("Start", 5, errors.New("no such luck"))
		}
	})
	threads := trace(t, rec)
	type in struct{ name, within string }
	for machine, want := range map[string][]in{
		"gw":  {{"stop", "reboot"}, {"start", "reboot"}, {"stop", "save"}, {"save", "b"}, {"start", "b"}, {"reboot", "c"}},
		"web": {{"restore", ""}, {"start", ""}, {"reboot", "a"}, {"stop", "save"}, {"start", "b"}, {"cat /missing", "c"}},
	} {
		for _, w := range want {
			if !slices.ContainsFunc(threads[machine], func(s traced) bool { return s.name == w.name && s.within == w.within }) {
				t.Errorf("%s: no %s within %q in\n%+v", machine, w.name, w.within, threads[machine])
			}
		}
	}
}
