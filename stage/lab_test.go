package stage_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// fixture is a lab of fakes whose state survives reopening, as after another start of
// the program.
type fixture struct {
	t        *testing.T
	dir      string
	plan     stage.Plan
	opts     stage.Options
	machines map[string]*stagetest.Machine
	volumes  map[string]*stagetest.Volume

	mu     sync.Mutex
	events []stage.Event
}

func newFixture(t *testing.T, plan stage.Plan) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir(), plan: plan}
	f.opts.StateDir = filepath.Join(f.dir, "state")
	f.opts.Hint = func(machine, stage string) (string, string) {
		return "lab -from " + machine + "/" + stage, "lab -shell " + machine
	}
	f.restart()
	return f
}

// restart makes new machines, as when the program starts again: none runs.
func (f *fixture) restart() {
	f.t.Helper()
	f.machines, f.volumes = map[string]*stagetest.Machine{}, map[string]*stagetest.Volume{}
	for _, s := range f.plan.Setups {
		v, err := stagetest.NewVolume(filepath.Join(f.dir, s.Machine), map[string]string{"etc/os-release": "ID=fake\n"})
		if err != nil {
			f.t.Fatal(err)
		}
		f.volumes[s.Machine], f.machines[s.Machine] = v, stagetest.NewMachine(v)
	}
}

func (f *fixture) lab() *stage.Lab {
	f.t.Helper()
	opts := f.opts
	opts.Targets = map[string]stage.Target{}
	for name, m := range f.machines {
		opts.Targets[name] = stage.Target{Machine: m, Volume: f.volumes[name]}
	}
	opts.Events = func(e stage.Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.events = append(f.events, e)
	}
	l, err := stage.Open(f.plan, opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

// run runs the plan and fails the test unless exactly these stages ran.
func (f *fixture) run(s stage.Steering, want ...string) {
	f.t.Helper()
	f.events = nil
	r, err := f.lab().Run(context.Background(), s)
	if err != nil {
		f.t.Fatal(err)
	}
	if !slices.Equal(r.Ran, want) {
		f.t.Fatalf("ran %q, want %q", r.Ran, want)
	}
}

func (f *fixture) kinds(kind stage.EventKind) (out []stage.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// log returns the lines of /log in a machine's tree: what stages appended, in order.
func (f *fixture) log(machine string) string {
	f.t.Helper()
	files, err := f.volumes[machine].Files()
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.Join(strings.Fields(files["log"]), " ")
}

func (f *fixture) wantLog(machine, want string) {
	f.t.Helper()
	if got := f.log(machine); got != want {
		f.t.Fatalf("%s's log is %q, want %q", machine, got, want)
	}
}

// do is a step that appends a word to /log, which is not idempotent.
func do(word string) stage.Step { return command{"append", "/log", word} }

// command is the simplest step.
type command []string

func (c command) String() string              { return strings.Join(c, " ") }
func (c command) Manual(string) []stage.Line  { return []stage.Line{{Text: c.String()}} }
func (c command) Ingredients(r *stage.Recipe) { r.Text("command", c.String()) }
func (c command) Run(ctx context.Context, s *stage.Session) error {
	return s.Exec(ctx, stage.Command{Args: c})
}

// stages makes one stage for each word, which appends that word.
func stages(words ...string) []stage.Stage {
	var out []stage.Stage
	for _, w := range words {
		out = append(out, stage.Stage{Name: w, Steps: []stage.Step{do(w)}})
	}
	return out
}

func single(words ...string) stage.Plan {
	return stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "gw", Base: "b1", Stages: stages(words...)}}}
}

func TestSecondRunDoesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	f.wantLog("gw", "one two three")
	boots, restores := f.machines["gw"].Boots(), f.volumes["gw"].Count("Restore")

	f.run(stage.Steering{})
	if got := f.machines["gw"].Boots(); got != boots {
		t.Errorf("the machine was started again: %d boots, not %d", got, boots)
	}
	if got := f.volumes["gw"].Count("Restore"); got != restores {
		t.Errorf("%d restores, not %d", got, restores)
	}
	f.wantLog("gw", "one two three")
}

func TestProgramStartedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		end      func(*fixture) error
		restores int
	}{
		{"machine powered off", func(f *fixture) error { return f.lab().PowerOff(context.Background()) }, 0},
		{"machine crashed", func(f *fixture) error { f.machines["gw"].Die(); return nil }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, single("one", "two"))
			f.run(stage.Steering{}, "gw/one", "gw/two")
			if err := tt.end(f); err != nil {
				t.Fatal(err)
			}
			f.restart()
			f.run(stage.Steering{})
			if got := f.volumes["gw"].Count("Restore"); got != tt.restores {
				t.Errorf("%d restores, want %d", got, tt.restores)
			}
			f.wantLog("gw", "one two")
		})
	}
}

func TestChangedStageRunsWithItsSuccessors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")

	f.plan = single("one", "two", "three")
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("zwei")}
	f.run(stage.Steering{}, "gw/two", "gw/three")
	f.wantLog("gw", "one zwei three")
	if why := f.kinds(stage.EventStageStarted)[0].Why; why != "step 1: command changed" {
		t.Errorf("why = %q", why)
	}
	// Going back to the old plan finds its snapshots.
	f.plan = single("one", "two", "three")
	f.run(stage.Steering{})
	f.wantLog("gw", "one two three")
	// A new base makes everything run.
	f.plan.Setups[0].Base = "b2"
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	f.wantLog("gw", "one two three")
}

func TestSteering(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{Until: "two"}, "gw/one", "gw/two")
	f.wantLog("gw", "one two")
	f.run(stage.Steering{}, "gw/three")
	f.run(stage.Steering{From: "two"}, "gw/two", "gw/three")
	f.wantLog("gw", "one two three")
	f.run(stage.Steering{From: "one", Until: "one"}, "gw/one")
	f.wantLog("gw", "one")
	// What was forced is not forgotten: two and three came after the old one.
	f.run(stage.Steering{}, "gw/two", "gw/three")
	f.wantLog("gw", "one two three")
	f.run(stage.Steering{Until: "one"})
	f.wantLog("gw", "one")
	f.run(stage.Steering{Skip: []string{"two"}}, "gw/three")
	f.wantLog("gw", "one three")
	f.run(stage.Steering{})
	f.wantLog("gw", "one two three")
}

func TestSteeringErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "setup_nginx"))
	for _, tt := range []struct {
		s    stage.Steering
		is   error
		text string
	}{
		{stage.Steering{From: "setup_ngnix"}, stage.ErrNotFound, `is it "setup_nginx"`},
		{stage.Steering{Until: "gw/setup_nginks"}, stage.ErrNotFound, `is it "gw/setup_nginx"`},
		{stage.Steering{Only: []string{"gv"}}, stage.ErrNotFound, `is it "gw"`},
		{stage.Steering{From: "setup_nginx", Until: "one"}, stage.ErrInvalid, "not among the stages wanted"},
	} {
		_, err := f.lab().Run(context.Background(), tt.s)
		if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%+v: error %v, want %v with %q", tt.s, err, tt.is, tt.text)
		}
	}
	if n := f.machines["gw"].Boots(); n != 0 {
		t.Errorf("the machine was started %d times", n)
	}
}

func TestFailedStageResumes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("half"), command{"cat", "/missing"}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	var e *stage.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	want := "gw/two: step \"cat /missing\": exit status 1\n  | cat: /missing: No such file or directory\n"
	if !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "to resume: lab -from gw/two") {
		t.Errorf("error:\n%v\nwant:\n%s", err, want)
	}
	if stage.ExitCode(err) != 1 {
		t.Errorf("exit code %d", stage.ExitCode(err))
	}
	f.wantLog("gw", "one half") // kept for a look
	f.plan = single("one", "two", "three")
	f.run(stage.Steering{}, "gw/two", "gw/three")
	f.wantLog("gw", "one two three")
}

func TestCancelledRunResumes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	ctx, cancel := context.WithCancel(context.Background())
	hang := func(ctx context.Context, p *stagetest.Proc) error {
		cancel()
		<-ctx.Done()
		return errors.New("signal: killed")
	}
	f.machines["gw"].Handle("hang", hang)
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("half"), command{"hang"}}
	_, err := f.lab().Run(ctx, stage.Steering{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if up, _ := f.machines["gw"].Running(context.Background()); up {
		t.Error("the machine still runs")
	}
	f.plan = single("one", "two", "three")
	f.run(stage.Steering{}, "gw/two", "gw/three")
	f.wantLog("gw", "one two three")
}
