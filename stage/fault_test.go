package stage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

var errInjected = errors.New("injected fault")

// TestEveryFaultIsSurvived makes each method fail at each of its calls in turn. The run
// must fail, or cope, and the next one must end with the tree of an undisturbed run.
func TestEveryFaultIsSurvived(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		"volume Save", "volume Restore", "volume Remove", "volume Reset", "volume Saved",
		"machine Start", "machine Stop", "machine Kill", "machine Freeze", "machine Thaw", "machine Exec", "machine Running",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			what, name, _ := strings.Cut(method, " ")
			for skip := range 5 {
				f := newFixture(t, single("one", "two", "three"))
				f.run(stage.Steering{Until: "one"}, "gw/one")
				faults := &f.machines["gw"].Faults
				if what == "volume" {
					faults = &f.volumes["gw"].Faults
				}
				faults.Fail(name, skip, errInjected)
				_, err := f.lab().Run(context.Background(), stage.Steering{From: "one"})
				if err != nil && !errors.Is(err, errInjected) {
					t.Errorf("call %d: error %v", skip, err)
				}
				f.restart()
				if _, err := f.lab().Run(context.Background(), stage.Steering{}); err != nil {
					t.Errorf("call %d: next run: %v", skip, err)
				}
				f.wantLog("gw", "one two three")
			}
		})
	}
}

func TestMissingSnapshotFallsBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	// Behind our back, and so that the list still has it, as if it were corrupted.
	f.volumes["gw"].Fail("Restore", 0, errInjected)
	f.machines["gw"].Die()
	f.run(stage.Steering{}, "gw/three")
	f.wantLog("gw", "one two three")
	if notes := f.kinds(stage.EventNote); len(notes) != 1 || !strings.Contains(notes[0].Text, "going back further") {
		t.Errorf("notes: %+v", notes)
	}
	// All of them are gone, the base's too.
	saved, err := f.volumes["gw"].Saved(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range saved {
		if err := f.volumes["gw"].Remove(context.Background(), s.Name); err != nil {
			t.Fatal(err)
		}
	}
	f.restart()
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	if why := f.kinds(stage.EventStageStarted)[0].Why; !strings.Contains(why, "is gone") {
		t.Errorf("why = %q", why)
	}
	f.wantLog("gw", "one two three")
}

// TestNameOfAStaleSnapshot has a snapshot that a run was told to replace, and did not get
// to, deleted behind our back: the next one may well have its name.
func TestNameOfAStaleSnapshot(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two"))
	f.run(stage.Steering{}, "gw/one", "gw/two")
	f.volumes["gw"].Fail("Save", 0, errInjected)
	if _, err := f.lab().Run(context.Background(), stage.Steering{From: "two"}); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	saved, err := f.volumes["gw"].Saved(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.volumes["gw"].Remove(context.Background(), saved[len(saved)-1].Name); err != nil {
		t.Fatal(err)
	}
	f.run(stage.Steering{}, "gw/two")
	f.run(stage.Steering{})
}

// TestWithoutTargets calls what cannot do without.
func TestWithoutTargets(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	l, err := stage.Open(f.plan, stage.Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"Run":        func() error { _, err := l.Run(ctx, stage.Steering{}); return err },
		"PowerOff":   func() error { return l.PowerOff(ctx) },
		"Rollback":   func() error { _, err := l.Rollback(ctx, "one"); return err },
		"Checkpoint": func() error { _, err := l.Checkpoint(ctx, "c"); return err },
		"Fork": func() error {
			opts := f.opts
			opts.Targets = map[string]stage.Target{"gw": {Machine: f.machines["gw"], Volume: f.volumes["gw"]}}
			_, err := l.Fork(ctx, stage.Steering{}, opts)
			return err
		},
	} {
		if err := call(); !errors.Is(err, stage.ErrInvalid) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestDamagedState(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", "\x00\x00", `{"Clean":true,"Tree":"nonsense"}`} {
		f := newFixture(t, single("one", "two"))
		f.run(stage.Steering{}, "gw/one", "gw/two")
		if err := os.WriteFile(filepath.Join(f.opts.StateDir, "machines", "gw.json"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		f.run(stage.Steering{})
		f.wantLog("gw", "one two")
	}
	f := newFixture(t, single("one"))
	f.run(stage.Steering{}, "gw/one")
	if err := os.WriteFile(filepath.Join(f.opts.StateDir, "machines", "gw.json"), []byte(`{"Version":99}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.lab().Run(context.Background(), stage.Steering{}); !errors.Is(err, stage.ErrNotSupported) {
		t.Errorf("state of a newer program: %v", err)
	}
}

// TestMachineDiesInTheMiddle: the error says so, also where it quotes a whole script, of which
// only what came of it is said.
func TestMachineDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"connection lost":  "connection lost (the machine is no longer running)\n",
		"sh -c 'one\ntwo'": "exit status 4 (the machine is no longer running)\n",
	} {
		f := newFixture(t, single("one", "two"))
		f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"crash"}}
		f.machines["gw"].Handle("crash", func(context.Context, *stagetest.Proc) error {
			f.machines["gw"].Die()
			if !strings.Contains(text, "\n") {
				return errors.New(text)
			}
			return fmt.Errorf("%s: %w", text, stagetest.ExitError(4))
		})
		_, err := f.lab().Run(context.Background(), stage.Steering{})
		if err == nil || !strings.HasPrefix(err.Error(), `gw/two: step "crash": `+want) {
			t.Errorf("error %v, want %q", err, want)
		}
		f.plan = single("one", "two")
		f.run(stage.Steering{}, "gw/two")
		f.wantLog("gw", "one two")
	}
}

// halfway is a machine whose first start fails and leaves it running.
type halfway struct {
	*stagetest.Machine
	failed bool
}

func (h *halfway) Start(ctx context.Context) error {
	err := h.Machine.Start(ctx)
	if !h.failed {
		h.failed, err = true, errInjected
	}
	return err
}

// TestStartFailsHalfway: a machine that is there, and was never ready, is not taken for one
// that was started.
func TestStartFailsHalfway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	f := newFixture(t, single("one"))
	f.run(stage.Steering{}, "gw/one")
	if err := f.lab().PowerOff(ctx); err != nil {
		t.Fatal(err)
	}
	opts := f.opts
	opts.Targets = map[string]stage.Target{"gw": {Machine: &halfway{Machine: f.machines["gw"]}, Volume: f.volumes["gw"]}}
	lab, err := stage.Open(f.plan, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(ctx, stage.Steering{}); !errors.Is(err, errInjected) {
		t.Fatalf("error %v", err)
	}
	if _, err := lab.Run(ctx, stage.Steering{}); err != nil {
		t.Fatal(err)
	}
	if boots := f.machines["gw"].Boots(); boots != 3 {
		t.Errorf("%d boots: it was not started again", boots)
	}
}

func TestStepTimeout(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{command{"sleep", "60"}}
	f.plan.Setups[0].Stages[0].Timeout = 20 * time.Millisecond
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "time-out of 20ms") {
		t.Errorf("error %v", err)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{command{"flood"}}
	const lines = 5000
	f.machines["gw"].Handle("flood", func(_ context.Context, p *stagetest.Proc) error {
		p.Printf("\x1b[31mred\x1b[0m \x00\xff\x1b]0;title\x07end\n50%%\r100%%\n")
		p.Printf("%s\n", strings.Repeat("x", 200_000))
		for i := range lines {
			p.Printf("line %d\n", i)
		}
		p.Printf("not ended")
		return stagetest.ExitError(1)
	})
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	var e *stage.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	if len(e.Output) != 20 || e.Output[19] != "not ended" || e.Output[0] != fmt.Sprintf("line %d", lines-19) {
		t.Errorf("last lines: %q", e.Output)
	}
	events := f.kinds(stage.EventOutput)
	if events[0].Text != "red ··end" || events[1].Text != "100%" {
		t.Errorf("as shown: %q, %q", events[0].Text, events[1].Text)
	}
	log, err := os.ReadFile(e.Log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(log, []byte("\x1b[31mred\x1b[0m \x00\xff")) || bytes.Count(log, []byte("x")) != 200_000 || !bytes.HasSuffix(log, []byte("not ended")) {
		t.Errorf("the log does not have the whole output: %d bytes", len(log))
	}
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	secret := "correct horse"
	f := newFixture(t, single("one", "two"))
	f.opts.Secret = func(context.Context, string) ([]byte, error) { return []byte(secret), nil }
	f.plan.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "pw"}}
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"echo", "it is correct horse."}, command{"cat", "/correct horse"}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Fatalf("error %v", err)
	}
	for _, e := range f.events {
		if strings.Contains(fmt.Sprintf("%+v", e), secret) {
			t.Errorf("an event has the secret: %+v", e)
		}
	}
	f.plan = single("one", "two")
	f.plan.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "pw"}}
	f.run(stage.Steering{}, "gw/two")
	secret = "changed"
	changes, err := f.lab().Explain(context.Background(), "one")
	if err != nil || len(changes) != 1 || changes[0].String() != "secret pw changed" {
		t.Errorf("changes %v, error %v", changes, err)
	}
	f.run(stage.Steering{}, "gw/one", "gw/two")

	err = filepath.WalkDir(f.opts.StateDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte("correct horse")) {
			t.Errorf("%s has the secret:\n%s", path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestSecretsInErrors has one secret that is the beginning of another, and an error that
// quotes the longer one.
func TestSecretsInErrors(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.opts.Secret = func(_ context.Context, name string) ([]byte, error) {
		return []byte(map[string]string{"a": "horse", "b": "horse battery", "c": "horse battery staple"}[name]), nil
	}
	f.plan.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "b"}, {Secret: "a"}, {Secret: "c"}}
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{quoting{}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "with [secret c]") || strings.Contains(err.Error(), "staple") {
		t.Errorf("error %v", err)
	}
}

// quoting is a step that fails with a secret in its error.
type quoting struct{ command }

func (quoting) Run(context.Context, *stage.Session) error {
	return fmt.Errorf("with horse battery staple: %w", errInjected)
}

func TestInputs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tree", "conf")
	write := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a")
	t.Setenv("STAGE_TEST", "1")
	f := newFixture(t, single("one", "two"))
	f.plan.Setups[0].Stages[1].Inputs = []stage.Input{
		{File: filepath.Dir(file)}, {Env: "STAGE_TEST"}, {Name: "release", Value: "12"},
	}
	f.run(stage.Steering{}, "gw/one", "gw/two")
	files := "file " + filepath.Dir(file) + " changed ("
	for _, tt := range []struct {
		name, want string
		change     func()
		why        string
	}{
		{"content", "file " + filepath.Dir(file) + " changed:", func() { write("b") }, files + "conf)"},
		{"mode", "file " + filepath.Dir(file) + " changed:", func() { os.Chmod(file, 0o600) }, files + "conf)"},
		{"new file", "conf2", func() { os.WriteFile(file+"2", nil, 0o644) }, files + "conf2)"},
		{"several", "conf2", func() { os.Remove(file + "2"); write("c") }, files + "conf and 1 more)"},
		{"environment", `environment STAGE_TEST changed from "=1" to "=2"`, func() { os.Setenv("STAGE_TEST", "2") }, "environment STAGE_TEST changed"},
		{"no environment", `environment STAGE_TEST changed from "=2" to "(not set)"`, func() { os.Unsetenv("STAGE_TEST") }, "environment STAGE_TEST changed"},
		{"value", `value release changed from "12" to "13"`, func() { f.plan.Setups[0].Stages[1].Inputs[2].Value = "13" }, "value release changed"},
	} {
		tt.change()
		changes, err := f.lab().Explain(context.Background(), "two")
		if err != nil || len(changes) != 1 || !strings.Contains(changes[0].String(), tt.want) {
			t.Errorf("%s: changes %v, error %v; want %q", tt.name, changes, err, tt.want)
		}
		f.run(stage.Steering{}, "gw/two")
		if why := f.kinds(stage.EventStageStarted)[0].Why; why != tt.why {
			t.Errorf("%s: it ran because %q, want %q", tt.name, why, tt.why)
		}
		if changes, err := f.lab().Explain(context.Background(), "two"); err != nil || changes != nil {
			t.Errorf("%s: after the run: changes %v, error %v", tt.name, changes, err)
		}
	}
	// Touching a file changes nothing.
	if err := os.Chtimes(file, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	f.run(stage.Steering{})

	t.Run("missing", func(t *testing.T) {
		boots := f.machines["gw"].Boots()
		if err := os.RemoveAll(filepath.Dir(file)); err != nil {
			t.Fatal(err)
		}
		_, err := f.lab().Run(context.Background(), stage.Steering{})
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "gw/two: read inputs") {
			t.Errorf("error %v", err)
		}
		if f.machines["gw"].Boots() != boots {
			t.Error("the machine was started")
		}
	})
	t.Run("changed by the stage's own run", func(t *testing.T) {
		write("c")
		f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"meddle"}}
		f.machines["gw"].Handle("meddle", func(context.Context, *stagetest.Proc) error {
			write("d")
			return nil
		})
		_, err := f.lab().Run(context.Background(), stage.Steering{})
		if !errors.Is(err, stage.ErrChanged) {
			t.Errorf("error %v", err)
		}
	})
}

// flaky is a check that holds at the given looks, from 1, and at all later ones.
type flaky struct {
	command
	looks *int
	holds func(look int) bool
}

func (f flaky) Probe(context.Context, *stage.Session) error {
	*f.looks++
	if !f.holds(*f.looks) {
		return errors.New("not yet")
	}
	return nil
}

func TestChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		holds func(int) bool
		err   string
	}{
		{"at once", func(int) bool { return true }, ""},
		{"after a while", func(n int) bool { return n > 3 }, ""},
		{"comes and goes, then stays", func(n int) bool { return n == 2 || n > 4 }, ""},
		{"comes and goes", func(n int) bool { return n%2 == 0 }, "it comes and goes"},
		{"never", func(int) bool { return false }, "seen instead, since"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, single("one"))
			looks := 0
			st := &f.plan.Setups[0].Stages[0]
			st.Checks = []stage.Check{flaky{command{"flaky"}, &looks, tt.holds}}
			if tt.name == "never" {
				st.CheckTimeout = 500 * time.Millisecond
			}
			_, err := f.lab().Run(context.Background(), stage.Steering{})
			if tt.err == "" && err != nil || tt.err != "" && (!errors.Is(err, stage.ErrCheck) || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if tt.err != "" && f.volumes["gw"].Count("Save") != 1 { // the base
				t.Error("the tree was saved all the same")
			}
		})
	}
}

// rude is a check that sees what would clear the terminal it is shown on.
type rude struct{ command }

func (rude) Probe(context.Context, *stage.Session) error {
	return fmt.Errorf("%w: status \x1b[2J\x1b]0;title\x07200\x00\nand more", stage.ErrInvalid)
}

func TestCheckErrorsAreSafeToShow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	f.plan.Setups[0].Stages[0].Checks = []stage.Check{rude{command{"rude"}}}
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	const want = "invalid: status 200·\nand more"
	if failed := f.kinds(stage.EventCheckFailed); len(failed) != 1 || failed[0].Err != want {
		t.Errorf("events %+v", failed)
	}
	var e *stage.Error
	if !errors.As(err, &e) || !strings.HasSuffix(e.Err.Error(), want) {
		t.Errorf("error %q", err)
	}
}

func TestFailurePolicies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy stage.Policy
		log    string
		up     bool
		shells int
	}{
		{stage.PolicyKeep, "one half", true, 0},
		{stage.PolicyStop, "one half", false, 0},
		{stage.PolicyShell, "one half", false, 1},
		{stage.PolicyRollback, "one", true, 0},
	} {
		f := newFixture(t, single("one", "two"))
		f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("half"), command{"false"}}
		shells := 0
		f.opts.OnFailure, f.opts.KeepFailed = tt.policy, true
		f.opts.Shell = func(context.Context, string) error { shells++; return nil }
		if _, err := f.lab().Run(context.Background(), stage.Steering{}); err == nil {
			t.Fatal("no error")
		}
		up, _ := f.machines["gw"].Running(context.Background())
		if up != tt.up || shells != tt.shells {
			t.Errorf("policy %v: running %v, %d shells", tt.policy, up, shells)
		}
		f.wantLog("gw", tt.log)
		changes, err := f.volumes["gw"].Diff(context.Background(), "failed-two", "")
		if err != nil || (len(changes) > 0) != (tt.policy == stage.PolicyRollback) {
			t.Errorf("policy %v: failed tree differs in %v, error %v", tt.policy, changes, err)
		}
	}
}

func TestRollbackAfterForcedStages(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	f.opts.OnFailure = stage.PolicyRollback
	f.machines["gw"].Handle("append", func(_ context.Context, p *stagetest.Proc) error {
		if p.Args[2] == "three" {
			return stagetest.ExitError(1)
		}
		return p.Root.WriteFile("log", []byte("new "+p.Args[2]), 0o644)
	})
	if _, err := f.lab().Run(context.Background(), stage.Steering{From: "one"}); err == nil {
		t.Fatal("no error")
	}
	f.wantLog("gw", "new two") // the last completed stage of this run, not of the one before
}

func TestLock(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one"))
	inside, goOn := make(chan bool), make(chan bool)
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{command{"hold"}}
	f.machines["gw"].Handle("hold", func(context.Context, *stagetest.Proc) error {
		close(inside)
		<-goOn
		return nil
	})
	first := make(chan error)
	lab := f.lab()
	go func() {
		_, err := lab.Run(context.Background(), stage.Steering{})
		first <- err
	}()
	<-inside
	f.opts.NoWait = true
	_, err := f.lab().Run(context.Background(), stage.Steering{})
	if !errors.Is(err, stage.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("error %v", err)
	}
	f.opts.NoWait = false
	waiting := make(chan bool, 1)
	second, err := stage.Open(f.plan, stage.Options{
		StateDir: f.opts.StateDir,
		Targets:  map[string]stage.Target{"gw": {Machine: f.machines["gw"], Volume: f.volumes["gw"]}},
		Events: func(e stage.Event) {
			if e.Kind == stage.EventWaiting {
				waiting <- true
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := second.Run(context.Background(), stage.Steering{})
		done <- err
	}()
	<-waiting
	close(goOn)
	if err := errors.Join(<-first, <-done); err != nil {
		t.Error(err)
	}
}
