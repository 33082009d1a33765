package stage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// TestKilled kills the program at each event of a run, one after the other, and then at
// any time. Each next run goes on, and the trees become those of an undisturbed run,
// although no stage could bear being run twice on the same tree.
func TestKilled(t *testing.T) {
	t.Parallel()
	check := func(dir string) {
		t.Helper()
		for machine, want := range map[string]string{"web": "w1\nw2\nw3\n", "gw": "g1\ng2\ng3\n"} {
			got, err := os.ReadFile(filepath.Join(dir, machine, "tree", "log"))
			if err != nil || string(got) != want {
				t.Fatalf("%s's log is %q, %v; want %q", machine, got, err, want)
			}
		}
	}
	dir := t.TempDir()
	kills := 0
	for event := 1; ; event++ {
		if testing.Short() && event%7 != 0 {
			continue
		}
		dir := filepath.Join(dir, strconv.Itoa(event))
		if !child(t, dir, event, 0) {
			check(dir)
			break // the run has fewer events
		}
		kills++
		child(t, dir, 0, 0)
		check(dir)
	}
	for i := range 8 {
		dir := filepath.Join(dir, "at-any-time-"+strconv.Itoa(i))
		// Longer and longer, so that a slow machine gets to the end as well.
		for most := 20; child(t, dir, 0, time.Duration(5+rand.IntN(most))*time.Millisecond); most += most / 4 {
			kills++
		}
		child(t, dir, 0, 0)
		check(dir)
	}
	t.Logf("killed %d times", kills)
}
