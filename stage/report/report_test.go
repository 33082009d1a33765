package report_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	junit "github.com/joshdk/go-junit"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/report"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

var keep = flag.String("keep", "", "directory to leave the reports in, to look at them")

// plan is a lab in which everything happens that a report can show.
func plan() stage.Plan {
	return stage.Plan{Name: "prolo", Setups: []stage.Setup{
		{Machine: "gw", Stages: []stage.Stage{
			{Name: "network", Steps: []stage.Step{step.WriteFile{Path: "/etc/x", Content: "y"}}, Doc: "Give the machine its address."},
			{Name: "nginx", Steps: []stage.Step{
				step.Command("echo", "a <b> & 'c'"), step.Enable{Units: []string{"nginx.service"}, Now: true},
			}, Checks: []stage.Check{check.UnitActive{Name: "nginx.service"}}},
			{Name: "redmine", Skip: "not ready"},
		}},
		{Machine: "web", Stages: []stage.Stage{
			{Name: "copy", Needs: []string{"gw/nginx"}, Steps: []stage.Step{step.Command("cat", "/missing<script>")}},
		}},
		{Machine: "pas", Stages: []stage.Stage{{Name: "login", Needs: []string{"web/copy", "gw/network"}, Steps: []stage.Step{step.Command("true")}}}},
	}}
}

// record runs a plan twice with fakes, which the second time finds some stages cached,
// and returns the second run and its JSON lines. arrange is called for each machine before.
func record(t *testing.T, p stage.Plan, arrange ...func(name string, m *stagetest.Machine)) (*report.Recorder, []byte) {
	t.Helper()
	dir := t.TempDir()
	rec := new(report.Recorder)
	var lines bytes.Buffer
	write := report.Lines(&lines, func(err error) { t.Error(err) })
	opts := stage.Options{StateDir: filepath.Join(dir, "state"), Targets: map[string]stage.Target{}}
	for _, s := range p.Setups {
		v, err := stagetest.NewVolume(filepath.Join(dir, s.Machine), nil)
		if err != nil {
			t.Fatal(err)
		}
		m := stagetest.NewMachine(v)
		for _, f := range arrange {
			f(s.Machine, m)
		}
		opts.Targets[s.Machine] = stage.Target{Machine: m, Volume: v}
	}
	run := func(s stage.Steering) {
		lab, err := stage.Open(p, opts)
		if err != nil {
			t.Fatal(err)
		}
		_, err = lab.Run(context.Background(), s)
		if e := (*stage.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Fatal(err)
		}
	}
	run(stage.Steering{Until: p.Setups[0].Machine + "/" + p.Setups[0].Stages[0].Name})
	opts.Events = func(e stage.Event) { rec.Event(e); write(e) }
	run(stage.Steering{})
	return rec, lines.Bytes()
}

func render(t *testing.T, name string, f func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	rec, _ := record(t, plan())
	got, err := junit.Ingest(render(t, "junit.xml", func(b *bytes.Buffer) error { return rec.JUnit(b) }))
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]junit.Status{}
	for _, s := range got {
		for _, c := range s.Tests {
			status[c.Classname+"/"+c.Name] = c.Status
			if c.Name == "copy" && !strings.Contains(c.Error.Error(), "/missing<script>") {
				t.Errorf("failure says %q", c.Error)
			}
		}
	}
	want := map[string]junit.Status{
		"gw/network": junit.StatusPassed, "gw/nginx": junit.StatusPassed, "gw/redmine": junit.StatusSkipped,
		"web/copy": junit.StatusFailed, "pas/login": junit.StatusSkipped,
	}
	if fmt.Sprint(status) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", status, want)
	}
}

// TestFailedElsewhere: a run that fails in no stage of its own fails in the reports, too.
func TestFailedElsewhere(t *testing.T) {
	t.Parallel()
	holds := true
	cached := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "gw", Stages: []stage.Stage{{Name: "one", Checks: []stage.Check{
		check.Func{Name: "it holds", Look: func(context.Context, *stage.Session) error {
			if holds = !holds; holds {
				return fmt.Errorf("%w: it has died", stage.ErrInvalid)
			}
			return nil
		}},
	}}}}}}
	for name, test := range map[string]struct {
		plan    stage.Plan
		arrange func(string, *stagetest.Machine)
		want    string
	}{
		"check of a cached stage": {cached, func(string, *stagetest.Machine) {}, "gw/one: check failed: it holds: seen instead: invalid: it has died"},
		"start of a machine": {
			stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "gw", Stages: []stage.Stage{{Name: "one"}}}, {Machine: "web", Stages: []stage.Stage{{Name: "w"}}}}},
			func(name string, m *stagetest.Machine) {
				if name == "web" { // which the first of the two runs leaves alone
					m.Fail("Start", 0, errors.New("no such luck"))
				}
			}, "lab/run: web: start: no such luck",
		},
	} {
		rec, _ := record(t, test.plan, test.arrange)
		got, err := junit.Ingest(render(t, "junit.xml", func(b *bytes.Buffer) error { return rec.JUnit(b) }))
		if err != nil {
			t.Fatal(err)
		}
		var failed []string
		for _, s := range got {
			for _, c := range s.Tests {
				if c.Status == junit.StatusFailed {
					failed = append(failed, c.Classname+"/"+c.Name+": "+c.Message)
				}
			}
		}
		if len(failed) != 1 || failed[0] != test.want {
			t.Errorf("%s: failed %q, want %q", name, failed, test.want)
		}
		page := string(render(t, "report.html", func(b *bytes.Buffer) error { return rec.HTML(b, report.Page{Plan: test.plan}) }))
		if !strings.Contains(page, `<span class="badge failed">`) {
			t.Errorf("%s: the page says that all went well", name)
		}
	}
}

func TestHTML(t *testing.T) {
	t.Parallel()
	p := plan()
	rec, _ := record(t, p)
	page := string(render(t, "report.html", func(b *bytes.Buffer) error {
		return rec.HTML(b, report.Page{Plan: p, Diffs: map[string]*stage.Difference{"gw/nginx": {Files: []stage.FileChange{
			{Path: "/etc/<x>", Kind: stage.Added},
			{Path: "/etc/systemd/system/multi-user.target.wants/nginx.service", Kind: stage.Added},
			{Path: "/etc/systemd/system/a.service", Kind: stage.Added},
			{Path: "/etc/systemd/system/sockets.target.wants/b.socket", Kind: stage.Removed},
			{Path: "/var/lib/dpkg/info/libc6.list", Kind: stage.Modified},
			{Path: "/var/lib/dpkg/info/nginx.list", Kind: stage.Added},
			{Path: "/var/lib/dpkg/info/nginx.md5sums", Kind: stage.Added},
			{Path: "/var/lib/pacman/local/bind-9.20.4-1/desc", Kind: stage.Added},
		}, Installed: []string{"nginx", "bind-9.20.4-1"}, Disabled: []string{"b.socket"}, Opened: []string{"tcp 0.0.0.0:80"}}}})
	}))
	for _, want := range []string{
		"gw/nginx", "nginx.service is active", "a &lt;b&gt; &amp; &#39;c&#39;", "not ready", "added /etc/&lt;x&gt;",
		"cat &#39;/missing&lt;script&gt;&#39;", "web needs nginx of gw",
		"<p>installed nginx, bind-9.20.4-1; disabled b.socket; listens at tcp 0.0.0.0:80</p>", "Give the machine its address.", "snapshot ",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if m := regexp.MustCompile(`(?i)(src|href)="?(https?:)?//|@import|url\(\s*["']?http|<link|<img`).FindString(page); m != "" {
		t.Errorf("the page needs something else: %q", m)
	}
	if n := strings.Count(page, "<script>"); n != 1 {
		t.Errorf("%d scripts, want only the page's own", n)
	}
}

// TestLargePage is there to be looked at, with -keep: four machines with 25 stages.
func TestLargePage(t *testing.T) {
	t.Parallel()
	p := stage.Plan{Name: "large"}
	for i, name := range []string{"gw", "rhfs0", "web", "pas-r11p11"} {
		s := stage.Setup{Machine: name}
		for n := range 25 {
			st := stage.Stage{Name: fmt.Sprintf("setup_%02d", n), Steps: []stage.Step{
				step.Command("sleep", fmt.Sprintf("%.3f", 0.001+0.005*rand.Float64())), step.Command("echo", "done"),
			}}
			if i > 0 && n == 3*i {
				st.Needs = []string{"gw/setup_05"}
			}
			s.Stages = append(s.Stages, st)
		}
		p.Setups = append(p.Setups, s)
	}
	rec, _ := record(t, p)
	page := render(t, "large.html", func(b *bytes.Buffer) error { return rec.HTML(b, report.Page{Plan: p}) })
	if n := bytes.Count(page, []byte("<details ")); n != 100 {
		t.Errorf("%d stages on the page, want 100", n)
	}
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	rec, lines := record(t, plan())
	again, err := report.Read(bytes.NewReader(append(lines, `{"seq":99,"kind":"run-en`...)))
	if err != nil {
		t.Fatal(err)
	}
	render := func(r *report.Recorder) string {
		var b bytes.Buffer
		if err := errors.Join(r.JUnit(&b), r.HTML(&b, report.Page{Plan: plan()})); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if render(rec) != render(again) {
		t.Error("reports from the lines differ from those of the run")
	}
	if _, err := report.Read(strings.NewReader("{\n")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("broken line: %v", err)
	}
	for _, index := range []string{"-1", "0", "1000000000000"} {
		text := `{"kind":"planned","machine":"m","stage":"s"}` + "\n" + `{"kind":"check-passed","machine":"m","stage":"s","index":` + index + "}\n"
		if _, err := report.Read(strings.NewReader(text)); err != nil {
			t.Errorf("check number %s: %v", index, err)
		}
	}
}

func TestEmptyRecorder(t *testing.T) {
	t.Parallel()
	var rec report.Recorder
	var b bytes.Buffer
	if err := errors.Join(rec.JUnit(&b), rec.Trace(&b), rec.HTML(&b, report.Page{})); err != nil {
		t.Error(err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	var rec report.Recorder
	now := time.Now()
	event := func(k stage.EventKind, text string) {
		rec.Event(stage.Event{Kind: k, Machine: "gw", Stage: "s", Text: text, Time: now})
	}
	event(stage.EventPlanned, "run")
	for i := range 1000 {
		event(stage.EventOutput, fmt.Sprintf("line %d", i))
	}
	var b bytes.Buffer
	if err := rec.HTML(&b, report.Page{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "line 799\n") || !strings.Contains(b.String(), "line 800\n") || !strings.Contains(b.String(), "800 earlier lines") {
		t.Error("not the last 200 lines")
	}
}
