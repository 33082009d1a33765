package stage_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// pair has gw with three stages and web, whose second needs gw's second.
func pair() stage.Plan {
	web := stages("w1", "w2", "w3")
	web[1].Needs = []string{"gw/g2"}
	return stage.Plan{Name: "lab", Setups: []stage.Setup{
		{Machine: "web", Stages: web},
		{Machine: "gw", Stages: stages("g1", "g2", "g3")},
	}}
}

func TestNeedsAcrossMachines(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pair())
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	ended := map[string]int{}
	for _, e := range f.kinds(stage.EventStageEnded) {
		ended[e.Machine+"/"+e.Stage] = e.Seq
	}
	for _, e := range f.kinds(stage.EventStageStarted) {
		if e.Stage == "w2" && e.Seq < ended["gw/g2"] {
			t.Error("web/w2 began before gw/g2 had ended")
		}
	}

	t.Run("a need that changes", func(t *testing.T) {
		f.plan.Setups[1].Stages[1].Steps = []stage.Step{do("changed")}
		f.run(stage.Steering{}, "web/w2", "web/w3", "gw/g2", "gw/g3")
		f.wantLog("web", "w1 w2 w3")
	})
	t.Run("what nobody needs", func(t *testing.T) {
		f.plan.Setups[1].Stages[2].Steps = []stage.Step{do("other")}
		f.run(stage.Steering{}, "gw/g3")
	})
	t.Run("from a stage that others need", func(t *testing.T) {
		f.run(stage.Steering{From: "gw/g2"}, "web/w2", "web/w3", "gw/g2", "gw/g3")
		f.wantLog("web", "w1 w2 w3")
		f.wantLog("gw", "g1 changed other")
	})
	t.Run("until tells of others that are further", func(t *testing.T) {
		f.run(stage.Steering{Until: "gw/g1"})
		f.wantLog("gw", "g1")
		f.wantLog("web", "w1 w2 w3")
		if notes := f.kinds(stage.EventNote); len(notes) != 1 || notes[0].Text != "web keeps stage w2, which needs gw/g2: that is undone" {
			t.Errorf("notes %+v", notes)
		}
		f.run(stage.Steering{})
	})
	t.Run("again tells of others, whose turn comes later", func(t *testing.T) {
		f.run(stage.Steering{From: "gw/g2", Only: []string{"gw"}}, "gw/g2", "gw/g3")
		if notes := f.kinds(stage.EventNote); len(notes) != 1 || notes[0].Text != "web keeps stage w2, which needs gw/g2: that runs again" {
			t.Errorf("notes %+v", notes)
		}
		f.run(stage.Steering{}, "web/w2", "web/w3")
		f.plan.Setups[1].Stages[1].Steps = []stage.Step{do("changed again")}
		f.run(stage.Steering{Only: []string{"gw"}}, "gw/g2", "gw/g3")
		if notes := f.kinds(stage.EventNote); len(notes) != 1 {
			t.Errorf("after a change: notes %+v", notes)
		}
		f.run(stage.Steering{}, "web/w2", "web/w3")
		f.plan.Setups[1].Stages[1].Steps = []stage.Step{do("changed")}
		f.run(stage.Steering{})
	})
	t.Run("until leaves others alone", func(t *testing.T) {
		f.run(stage.Steering{From: "web/w2", Until: "web/w2"}, "web/w2")
		f.wantLog("gw", "g1 changed")
	})
}

// TestContradictions: what cannot all be done is not done in part.
func TestContradictions(t *testing.T) {
	t.Parallel()
	plan := pair()
	plan.Setups[1].Stages[2].Skip = "not ready"
	f := newFixture(t, plan)
	for _, tt := range []struct {
		s    stage.Steering
		want string
	}{
		{stage.Steering{From: "g2", Skip: []string{"gw/g2"}}, `stage "g2": invalid: it is left out (asked for)`},
		{stage.Steering{Rerun: []string{"w1", "g3"}}, `stage "g3": invalid: it is left out (not ready)`},
		{stage.Steering{Until: "w2", Skip: []string{"w2"}}, `stage "w2": invalid: it is left out (asked for)`},
		{stage.Steering{Only: []string{"gw"}, Until: "w2"}, `stage "w2": invalid: it is not among the stages wanted`},
	} {
		if err := f.lab().Check(tt.s); !errors.Is(err, stage.ErrInvalid) || err.Error() != tt.want {
			t.Errorf("%+v: error %v, want %q", tt.s, err, tt.want)
		}
	}
	f.run(stage.Steering{Only: []string{"web"}, Until: "g1"}, "gw/g1") // which web needs
}

func TestOnlyOfflineRestore(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pair())
	f.run(stage.Steering{Only: []string{"web"}}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2")
	f.run(stage.Steering{}, "gw/g3")
	if err := f.lab().PowerOff(context.Background()); err != nil {
		t.Fatal(err)
	}
	boots := f.machines["gw"].Boots()
	f.run(stage.Steering{Offline: true})
	if got := f.machines["gw"].Boots(); got != boots {
		t.Error("a machine with nothing to run was started although offline")
	}
	restores := f.volumes["gw"].Count("Restore")
	f.run(stage.Steering{Restore: true})
	if got := f.volumes["gw"].Count("Restore"); got != restores+1 {
		t.Errorf("%d restores, want one more than %d", got, restores)
	}
	f.wantLog("gw", "g1 g2 g3")
}

// TestOfflineWakes: a stage whose snapshot cannot be restored runs again, and for that
// needs a machine that was to be left alone.
func TestOfflineWakes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pair())
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{elsewhere("gw")}
	f.run(stage.Steering{}, "web/w1", "web/w2", "web/w3", "gw/g1", "gw/g2", "gw/g3")
	if err := f.machines["gw"].Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.machines["web"].Die() // its tree is not in order
	for i := range 2 {      // of w3 and w2
		f.volumes["web"].Fail("Restore", i, errInjected)
	}
	f.run(stage.Steering{Offline: true}, "web/w2", "web/w3")
	if running, err := f.machines["gw"].Running(context.Background()); err != nil || !running {
		t.Errorf("gw runs: %v, %v", running, err)
	}
}

// elsewhere is a step that runs a command in another machine.
type elsewhere string

func (e elsewhere) String() string              { return "true, in " + string(e) }
func (e elsewhere) Manual(string) []stage.Line  { return nil }
func (e elsewhere) Ingredients(r *stage.Recipe) { r.Text("machine", string(e)) }
func (e elsewhere) Run(ctx context.Context, s *stage.Session) error {
	other, err := s.On(string(e))
	if err != nil {
		return err
	}
	return other.Exec(ctx, stage.Command{Args: []string{"true"}})
}

func TestQuiesce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		way   stage.Quiesce
		why   string
		boots int
	}{{stage.QuiesceFreeze, "frozen", 1}, {stage.QuiesceStop, "stopped", 3}} {
		f := newFixture(t, single("one", "two"))
		f.plan.Setups[0].Quiesce = tt.way
		f.run(stage.Steering{}, "gw/one", "gw/two")
		saved := f.kinds(stage.EventSaved)
		if got := saved[len(saved)-1].Why; got != tt.why {
			t.Errorf("saved while %s, want %s", got, tt.why)
		}
		if got := f.machines["gw"].Boots(); got != tt.boots {
			t.Errorf("%s: %d boots, want %d", tt.why, got, tt.boots)
		}
		f.wantLog("gw", "one two")
	}
}

func TestFailureBlocksOnlyWhoNeedsIt(t *testing.T) {
	t.Parallel()
	plan := pair()
	plan.Setups = append(plan.Setups, stage.Setup{Machine: "rhfs", Stages: stages("r1", "r2")})
	plan.Setups[1].Stages[1].Steps = []stage.Step{command{"false"}}
	f := newFixture(t, plan)
	r, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, stage.ErrBlocked) || stage.ExitCode(err) != 1 {
		t.Errorf("error %v", err)
	}
	if want := []string{"web/w1", "gw/g1", "rhfs/r1", "rhfs/r2"}; !slices.Equal(r.Ran, want) {
		t.Errorf("ran %q, want %q", r.Ran, want)
	}
}

func TestMachinesRunSideBySide(t *testing.T) {
	t.Parallel()
	f := newFixture(t, stage.Plan{Name: "lab", Setups: []stage.Setup{
		{Machine: "a", Stages: []stage.Stage{{Name: "s", Steps: []stage.Step{command{"meet"}}, Timeout: 10 * time.Second}}},
		{Machine: "b", Stages: []stage.Stage{{Name: "s", Steps: []stage.Step{command{"meet"}}, Timeout: 10 * time.Second}}},
	}})
	here := make(chan bool)
	meet := func(ctx context.Context, p *stagetest.Proc) error {
		select {
		case here <- true:
		case <-here:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	}
	f.machines["a"].Handle("meet", meet)
	f.machines["b"].Handle("meet", meet)
	f.run(stage.Steering{}, "a/s", "b/s")
}

func TestValidatePlan(t *testing.T) {
	t.Parallel()
	need := func(setups ...stage.Setup) stage.Plan { return stage.Plan{Name: "lab", Setups: setups} }
	for _, tt := range []struct {
		name string
		plan stage.Plan
		want string
	}{
		{"empty", stage.Plan{}, "no machines"},
		{"no lab name", stage.Plan{Setups: []stage.Setup{{Machine: "a"}}}, `lab "": empty name`},
		{"odd name", need(stage.Setup{Machine: "a/b"}), `'/' is none of`},
		{"hidden name", need(stage.Setup{Machine: "..", Stages: stages("x")}), `begins with "."`},
		{"long name", need(stage.Setup{Machine: strings.Repeat("x", 101)}), "longer than 100"},
		{"machine twice", need(stage.Setup{Machine: "a"}, stage.Setup{Machine: "a"}), `machine "a" appears twice`},
		{"stage twice", need(stage.Setup{Machine: "a", Stages: stages("x", "x")}), "a/x appears twice"},
		{"empty stage name", need(stage.Setup{Machine: "a", Stages: stages("")}), "empty name"},
		{"nil step", need(stage.Setup{Machine: "a", Stages: []stage.Stage{{Name: "x", Steps: []stage.Step{nil}}}}), "step 1: it is nil"},
		{"need of no machine", need(stage.Setup{Machine: "a", Stages: []stage.Stage{{Name: "x", Needs: []string{"y"}}}}), "is not MACHINE/STAGE"},
		{"unknown need", need(
			stage.Setup{Machine: "a", Stages: []stage.Stage{{Name: "x", Needs: []string{"b/setup_mbd"}}}},
			stage.Setup{Machine: "b", Stages: stages("setup_mdb")}), `unknown (is it "b/setup_mdb"?)`},
		{"need of its own machine", need(stage.Setup{Machine: "a", Stages: []stage.Stage{{Name: "x"}, {Name: "y", Needs: []string{"a/x"}}}}), "of the same machine"},
		{"cycle", need(
			stage.Setup{Machine: "a", Stages: []stage.Stage{{Name: "x", Needs: []string{"b/z"}}}},
			stage.Setup{Machine: "b", Stages: []stage.Stage{{Name: "y", Needs: []string{"a/x"}}, {Name: "z"}}}),
			"a/x → b/z → b/y → a/x"},
		{"input of two kinds", need(stage.Setup{Machine: "a", Stages: []stage.Stage{{Name: "x", Inputs: []stage.Input{{File: "a", Env: "b"}}}}}), "input 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.plan.Validate()
			if !errors.Is(err, stage.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
