package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/examples/internal/walk"
	"github.com/prologin/rig/stage"
)

// kills is how often the lab is killed.
const kills = 10

// TestTortureKill kills a run of the whole lab at random moments. A plain run after each
// must end in the state of one that nobody disturbed: each stage under the same key,
// the same trees, the same services up; and clean leaves nothing.
func TestTortureKill(t *testing.T) {
	if os.Getenv("RIG_TORTURE") == "" {
		t.Skip("takes many minutes: set RIG_TORTURE")
	}
	walk.Skip(t)
	lab := newTortured(t)
	before, err := walk.Look(lab.state)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		lab.run(t, "-q", "-clean")
		after, err := walk.Look(lab.state)
		if left, gone := walk.Left(before, after); err != nil || len(left)+len(gone) > 0 {
			t.Errorf("left on the host: %q; gone from it: %q (%v)", left, gone, err)
		}
	}()
	lab.run(t, "-q", "-keep")
	want := lab.end(t)
	start := time.Now()
	lab.run(t, "-q", "-keep", "-from", first)
	whole := time.Since(start)
	if diff := compare(want, lab.end(t)); diff != "" {
		t.Fatalf("two runs that nobody disturbed end differently:\n%s", diff)
	}
	for killed := 0; killed < kills; {
		moment := rand.N(whole)
		if !lab.kill(t, moment) {
			continue // it was done before
		}
		killed++
		lab.run(t, "-q", "-keep")
		diff := compare(want, lab.end(t))
		if diff != "" {
			t.Errorf("kill %d after %v:\n%s", killed, moment, diff)
		}
		t.Logf("kill %d of %d, after %v of %v: the same end: %v", killed, kills, moment.Round(time.Millisecond), whole.Round(time.Second), diff == "")
	}
	t.Logf("tally: lab, killed in a run of all machines: %d", kills)
}

// first is the stage that all others come after.
const first = prolo.MachineGW + "/container_gw_network"

// tortured is a lab whose program is killed.
type tortured struct{ path, state, events string }

func newTortured(t *testing.T) *tortured {
	t.Helper()
	path, err := exec.LookPath("lab")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &tortured{path, filepath.Join(dir, "state"), filepath.Join(dir, "events.json")}
}

func (l *tortured) command(args ...string) *exec.Cmd {
	cmd := exec.Command(l.path, append([]string{"-state", l.state, "-cache", walk.Cache()}, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

func (l *tortured) run(t *testing.T, args ...string) {
	t.Helper()
	if err := l.command(args...).Run(); err != nil {
		t.Fatalf("lab %v: %v", args, err)
	}
}

// kill begins everything again and kills the program at a moment, unless it is done
// before.
func (l *tortured) kill(t *testing.T, moment time.Duration) bool {
	t.Helper()
	cmd := l.command("-q", "-from", first)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(moment, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
	defer timer.Stop()
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() && status.ExitStatus() != 0 {
		t.Fatalf("lab before it was killed: %v", cmd.ProcessState)
	}
	return status.Signaled()
}

// end is where a run that left the machines running has led: the keys of the stages,
// and what the machines are like.
func (l *tortured) end(t *testing.T) map[string][]string {
	t.Helper()
	l.run(t, "-q", "-keep", "-json", l.events)
	end := map[string][]string{"stages": keys(t, l.events)}
	for _, machine := range []string{prolo.MachineGW, prolo.MachineRHFS, prolo.MachineWeb, prolo.MachinePas} {
		look, err := walk.LookInside(machine)
		if err != nil {
			t.Fatalf("%s: %v\n%s", machine, err, look)
		}
		end[machine] = look
	}
	return end
}

// compare says which lines of one end the other does not have.
func compare(want, got map[string][]string) string {
	var diff strings.Builder
	for _, of := range slices.Sorted(maps.Keys(want)) {
		for sign, lines := range map[string][2][]string{"-": {want[of], got[of]}, "+": {got[of], want[of]}} {
			for _, line := range lines[0] {
				if !slices.Contains(lines[1], line) {
					fmt.Fprintf(&diff, "%s%s: %s\n", sign, of, line)
				}
			}
		}
	}
	return diff.String()
}

// keys returns the key of each stage that a run found as it should be.
func keys(t *testing.T, events string) []string {
	t.Helper()
	found := map[string]bool{}
	for _, e := range readEvents(t, events) {
		if e.Kind == stage.EventPlanned && e.Text == "cached" {
			found[e.Machine+"/"+e.Stage+" "+e.Key] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
