package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/cli"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

func plan() stage.Plan {
	return stage.Plan{Name: "test", Setups: []stage.Setup{
		{Machine: "one", Base: "b", Stages: []stage.Stage{
			{Name: "first", Steps: []stage.Step{step.Command("true")}},
			{Name: "second", Steps: []stage.Step{step.Func{Name: "f", Version: "1", Do: func(context.Context, *stage.Session) error { return nil }}}},
		}},
		{Machine: "two", Base: "b", Stages: []stage.Stage{{Name: "first", Checks: []stage.Check{check.Run("true")}}}},
	}}
}

// exec runs a program and returns its status and what it printed.
func exec(t *testing.T, p cli.Program, args ...string) (status int, out, messages string) {
	t.Helper()
	dir := t.TempDir()
	var files [2]*os.File
	for i := range files {
		file, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files[i] = file
	}
	status = p.Exec(t.Context(), args, files[0], files[1])
	read := func(f *os.File) string {
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	return status, read(files[0]), read(files[1])
}

func program() cli.Program {
	return cli.Program{
		Name: "prog", Text: "Does things.", Machine: "one",
		Title: "Its own", Flags: func(fs *flag.FlagSet) { fs.String("colour", "", "paint in this `colour`") },
		Plan: func() (stage.Plan, error) { return plan(), nil },
		Run:  func(context.Context, *cli.Command) error { return nil },
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want string
	}{
		{"-kep", "-keep"},
		{"-hlep", `"-help"`},
		{"plan", `"-plan"`},
		{"-from=", "-from is empty"},
		{"-colur red", "-colour"},
		{"-from secnd", `"second"`},
		{"-until two/firt", `"two/first"`},
		{"-only onne", `"one"`},
		{"-only onne", "the machines are one, two"},
		{"-skip third", "the stages are \n  one/ first, second\n  two/ first; see prog -h"},
		{"-on-failure kep", `"keep"`},
		{"-rollback nothing", "the stages are"},
		{"-rollback first -diff first", "-rollback and -diff exclude each other"},
		{"-rollback first -from first -shell", "-rollback runs nothing: leave -from and -shell out"},
		{"-diff first -checkpoint x", "-diff runs nothing: leave -checkpoint out"},
		{"-v -q", "-v and -q"},
		{"-report a -junit b -json a", "-json and -report name the same file, a"},
		{"-report - -trace -", "-report and -trace name the same file, -"},
		{"-report nowhere/a -junit nowhere/b", "-report: stat nowhere: no such file or directory\n-junit: stat nowhere"},
		{"-checkpoint a/b", "-checkpoint \"a/b\": '/' is none of letters, digits"},
		{"-checkpoints -keep -until first", "-checkpoints runs nothing: leave -until out"},
		{"-remove-checkpoint ..", `-remove-checkpoint "..": name begins with "."`},
		{"-restore ..", `-restore "..": name begins with "."`},
		{"-from second -skip first,second", `stage "one/second": invalid: it is left out (asked for); see prog -h`},
		{"-only one -until two/first", `stage "two/first": invalid: it is not among the stages wanted; see prog -h`},
		{"-report nowhere/page.html", "-report: stat nowhere: no such file"},
		{"-junit .", "-junit: .: is a directory"},
		{"-trace cli_test.go/x", "-trace: "},
		{"-json nowhere/events", "-json: open nowhere/events: no such file"},
		{"argument", `unexpected argument "argument"`},
	} {
		ran := false
		p := program()
		p.Run = func(context.Context, *cli.Command) error { ran = true; return nil }
		status, out, messages := exec(t, p, strings.Fields(c.args)...)
		if status != cli.Misused || ran || out != "" || !strings.Contains(messages, c.want) || !strings.Contains(messages, "prog -h") {
			t.Errorf("%s: status %d, ran %v, %q; want %d and %q", c.args, status, ran, messages, cli.Misused, c.want)
		}
	}
}

// TestShellMachine: -shell is for the machine that the flags are about.
func TestShellMachine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ machine, args, want string }{
		{"one", "-shell", "one"},
		{"one", "-shell -until second", "one"},
		{"one", "-shell -until two/first", "two"},
		{"", "-shell -until one/first", "one"},
		{"", "-shell -until second", "one"},
		{"", "-shell -only two", "two"},
		{"", "-shell", ""},
		{"", "-shell -only one,two", ""},
	} {
		got := ""
		p := program()
		p.Machine = c.machine
		p.Run = func(_ context.Context, c *cli.Command) error { got = c.ShellMachine(); return nil }
		status, _, messages := exec(t, p, strings.Fields(c.args)...)
		refused := status == cli.Misused && strings.Contains(messages, "in which machine")
		if got != c.want || refused != (c.want == "") {
			t.Errorf("program of %q, %s: a shell in %q, status %d, %q; want %q", c.machine, c.args, got, status, messages, c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {cli.Usage(errors.New("x")), 2},
		{fmt.Errorf("y: %w", cli.Host(errors.New("x"))), 3}, {cli.Host(nil), 0},
	} {
		p := program()
		p.Run = func(context.Context, *cli.Command) error { return c.err }
		if got, _, _ := exec(t, p); got != c.want {
			t.Errorf("%v: status %d, want %d", c.err, got, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := program()
	p.Run = func(ctx context.Context, _ *cli.Command) error { return ctx.Err() }
	if got := p.Exec(ctx, nil, os.Stdout, os.NewFile(^uintptr(0), "none")); got != cli.Interrupted {
		t.Errorf("interrupted: status %d", got)
	}
}

// TestInterruptedMessages: what did not go well besides the interruption is not lost.
func TestInterruptedMessages(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := program()
	p.Run = func(ctx context.Context, _ *cli.Command) error {
		cancel()
		step := fmt.Errorf("step: %w: %w", ctx.Err(), errors.New("killed"))
		return errors.Join(errors.Join(ctx.Err(), step, fmt.Errorf("two: %w", stage.ErrBlocked)), errors.New("pool is in use"))
	}
	messages, err := os.Create(filepath.Join(t.TempDir(), "messages"))
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Close()
	p.Exec(ctx, nil, os.Stdout, messages)
	got, err := os.ReadFile(messages.Name())
	if want := "prog: pool is in use\nprog: interrupted; run it again to go on\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestHelpAndPlan(t *testing.T) {
	t.Parallel()
	status, _, messages := exec(t, program(), "-h")
	for _, want := range []string{"usage: prog", "Does things.", "-from stage", "Its own:", "-colour colour", "130 interrupted"} {
		if status != 0 || !strings.Contains(messages, want) {
			t.Errorf("-h: status %d, no %q in\n%s", status, want, messages)
		}
	}
	p := program()
	p.Run = func(context.Context, *cli.Command) error { return errors.New("-plan ran it") }
	if status, out, _ := exec(t, p, "-plan"); status != 0 || !strings.Contains(out, "one# true") {
		t.Errorf("-plan: status %d\n%s", status, out)
	}
}

// TestRun goes through what the flags ask for on machines that are none.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	targets := map[string]stage.Target{}
	for _, name := range []string{"one", "two"} {
		volume, err := stagetest.NewVolume(filepath.Join(dir, name), nil)
		if err != nil {
			t.Fatal(err)
		}
		targets[name] = stage.Target{Machine: stagetest.NewMachine(volume), Volume: volume}
	}
	p := program()
	var verdict error
	p.Run = func(ctx context.Context, c *cli.Command) error {
		c.Verify = func(context.Context) error { return verdict }
		lab, err := stage.Open(plan(), c.Options(stage.Options{StateDir: filepath.Join(dir, "state"), Targets: targets}))
		if err != nil {
			return err
		}
		return c.Do(ctx, lab)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	want := func(status int, text string, args ...string) {
		t.Helper()
		got, out, messages := exec(t, p, args...)
		if got != status || !strings.Contains(out+messages, text) {
			t.Errorf("%q: status %d, want %d and %q:\n%s%s", args, got, status, text, out, messages)
		}
	}
	want(0, "3 stages run, 0 as they were", "-report="+file("r.html"), "-junit="+file("r.xml"), "-trace="+file("r.trace"), "-json="+file("r.json"))
	for name, content := range map[string]string{"r.html": "<html", "r.xml": "<testsuite", "r.trace": "first", "r.json": `"run-ended"`} {
		if data, err := os.ReadFile(file(name)); err != nil || !strings.Contains(string(data), content) {
			t.Errorf("%s: %v, %.80q", name, err, data)
		}
	}
	want(0, "0 stages run, 3 as they were")
	want(0, "1 stages run", "-from", "second")
	want(1, `"before": not found; there are none yet: -checkpoint NAME makes one`, "-restore", "before")
	want(0, "there are none yet: -checkpoint NAME makes one", "-checkpoints")
	want(0, "checkpoint before", "-checkpoint", "before")
	want(0, "  before  one, two\n", "-checkpoints")
	want(1, "-checkpoint before: file already exists, of 2", "-checkpoint", "before", "-from", "first")
	want(0, "rolled back: one", "-rollback", "first")
	want(0, "", "-restore", "before")
	want(0, "nothing changed", "-explain", "second")
	want(1, `not found (is it "before"?); there are before`, "-restore", "befor")
	want(1, `not found (is it "before"?); there are before`, "-remove-checkpoint", "befor")
	want(0, "checkpoint before is removed", "-remove-checkpoint", "before")
	want(1, `there are none yet`, "-remove-checkpoint", "before")
	want(2, "-explian", "-explian", "x")
	if _, out, messages := exec(t, p, "-q"); out+messages != "" {
		t.Errorf("-q prints %q", out+messages)
	}
	verdict = errors.New("it has died")
	want(1, "it has died", "-junit="+file("died.xml"), "-json="+file("died.json"))
	for _, name := range []string{"died.xml", "died.json"} {
		if data, err := os.ReadFile(file(name)); err != nil || !strings.Contains(string(data), "it has died") {
			t.Errorf("%s: %v, %q", name, err, data)
		}
	}
	if _, _, messages := exec(t, p); strings.Contains(messages, "as it should be") {
		t.Errorf("it is as it should be, although:\n%s", messages)
	}
}

// TestHint: the lines that tell how to go on ask for the same as the command line did, but
// for going back once more.
func TestHint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, resume, shell string }{
		{"", "prog", "prog -until first -shell"},
		{"-from first -colour=red -v -shell", "prog -colour=red -v", "prog -colour=red -v -until first -shell"},
		{"-skip second -only one,two -until first", "prog -only=one,two -skip=second -until=first", "prog -only=one,two -skip=second -until first -shell"},
		{"-checkpoint c", "prog -checkpoint=c", "prog -until first -shell"},
	} {
		p := program()
		var resume, shell string
		p.Run = func(_ context.Context, c *cli.Command) error {
			resume, shell = c.Options(stage.Options{}).Hint("one", "first")
			return nil
		}
		exec(t, p, strings.Fields(c.args)...)
		if resume != c.resume || shell != c.shell {
			t.Errorf("%s: resume by %q, want %q; a shell by %q, want %q", c.args, resume, c.resume, shell, c.shell)
		}
	}
}

// TestPlanFromRecords has -plan say what earlier runs left.
func TestPlanFromRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	volume, err := stagetest.NewVolume(filepath.Join(dir, "one"), nil)
	if err != nil {
		t.Fatal(err)
	}
	short := plan()
	short.Setups = short.Setups[:1]
	opts := stage.Options{StateDir: filepath.Join(dir, "state")}
	p := program()
	p.Plan = func() (stage.Plan, error) { return short, nil }
	p.Records = func() stage.Options { return opts }
	if status, out, messages := exec(t, p, "-plan"); status != 0 || strings.Contains(out, "[") || messages != "" {
		t.Errorf("before a run: status %d\n%s%s", status, out, messages)
	}
	withTargets := opts
	withTargets.Targets = map[string]stage.Target{"one": {Machine: stagetest.NewMachine(volume), Volume: volume}}
	lab, err := stage.Open(short, withTargets)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), stage.Steering{Until: "first"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[cached: snapshot ", "[run: never completed]"} {
		if status, out, _ := exec(t, p, "-plan"); status != 0 || !strings.Contains(out, want) {
			t.Errorf("status %d, no %q in\n%s", status, want, out)
		}
	}
	short.Setups[0].Stages[0].Inputs = []stage.Input{{Secret: "none"}}
	if status, out, messages := exec(t, p, "-plan"); status != 0 || !strings.Contains(out, "one# true") || !strings.Contains(messages, "what is cached is not known") {
		t.Errorf("with a secret that cannot be read: status %d\n%s%s", status, out, messages)
	}
}
