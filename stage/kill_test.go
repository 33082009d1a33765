package stage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// The variables by which TestKilled tells its children what to do.
const (
	killDir   = "RIG_STAGE_TEST_DIR"
	killEvent = "RIG_STAGE_TEST_EVENT"
)

func killPlan() stage.Plan {
	p := pair()
	p.Setups[0].Base, p.Setups[1].Base = "b", "b"
	return p
}

// TestKilledChild is no test of its own: TestKilled runs it and kills it.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		t.Skip("only useful as a child of TestKilled")
	}
	at, err := strconv.Atoi(os.Getenv(killEvent))
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]stage.Target{}
	for _, s := range killPlan().Setups {
		v, err := stagetest.NewVolume(filepath.Join(dir, s.Machine), nil)
		if err != nil {
			t.Fatal(err)
		}
		targets[s.Machine] = stage.Target{Machine: stagetest.NewMachine(v), Volume: v}
	}
	events := 0
	lab, err := stage.Open(killPlan(), stage.Options{
		StateDir: filepath.Join(dir, "state"),
		Targets:  targets,
		Events: func(stage.Event) {
			if events++; events == at {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(context.Background(), stage.Steering{}); err != nil {
		t.Fatal(err)
	}
}

// child runs the plan in dir and reports whether it was killed, by itself at the given
// event or after a delay.
func child(t *testing.T, dir string, event int, delay time.Duration) (killed bool) {
	t.Helper()
	ctx := context.Background()
	if delay > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, delay)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), killDir+"="+dir, killEvent+"="+strconv.Itoa(event))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return false // it had ended by itself just then
	}
	if err != nil {
		t.Fatalf("after event %d, delay %v: %v\n%s", event, delay, err, out)
	}
	return false
}

// outcome describes all that a run leaves: trees, snapshots by key, records.
func outcome(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	for _, machine := range []string{"gw", "web"} {
		v, err := stagetest.NewVolume(filepath.Join(dir, machine), nil)
		if err != nil {
			t.Fatal(err)
		}
		files, err := v.Files()
		if err != nil {
			t.Fatal(err)
		}
		saved, err := v.Saved(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, s := range saved {
			keys = append(keys, s.Key)
		}
		slices.Sort(keys)
		state, err := os.ReadFile(filepath.Join(dir, "state", "machines", machine+".json"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s: files %q\nsnapshots %q\nrecords %s\n", machine, files, keys, state)
	}
	for _, pattern := range []string{"state/.new-*", "state/*/.new-*", "*/snapshots/.new-*", "*/.link"} {
		if left, _ := filepath.Glob(filepath.Join(dir, pattern)); left != nil {
			t.Errorf("left behind: %q", left)
		}
	}
	return out.String()
}

// fullMeasure is how often the program is killed where RIG_TORTURE is set.
const fullMeasure = 200

// TestKilled kills the program at each event of a run, one after the other, and then at
// any time. Each next run goes on, and what it leaves becomes that of an undisturbed
// run, although no stage could bear being run twice on the same tree.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child(t, dir, 0, 0)
	want := outcome(t, dir)
	kills := 0
	last := func(dir string) {
		t.Helper()
		child(t, dir, 0, 0)
		if got := outcome(t, dir); got != want {
			t.Fatalf("after %d kills, what is left:\n%s\nwant:\n%s", kills, got, want)
		}
	}
	for event := 1; ; event++ {
		if testing.Short() && event%7 != 0 {
			continue
		}
		dir := filepath.Join(dir, strconv.Itoa(event))
		if !child(t, dir, event, 0) {
			break // the run has fewer events
		}
		kills++
		last(dir)
	}
	torture := os.Getenv("RIG_TORTURE") != ""
	for i := 0; i < 8 || torture && kills < fullMeasure; i++ {
		dir := filepath.Join(dir, "at-any-time-"+strconv.Itoa(i))
		// Longer and longer, so that a slow machine gets to the end as well.
		for most := 20; child(t, dir, 0, time.Duration(5+rand.IntN(most))*time.Millisecond); most += most / 4 {
			kills++
		}
		last(dir)
	}
	t.Logf("tally: stage, killed in a run: %d", kills)
}
