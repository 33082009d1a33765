package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/walk"
	"github.com/prologin/rig/stage"
)

// kills is how often the lab is killed.
const kills = 10

// TestTortureKill kills a run of the whole lab at random moments. A plain run after each
// must end in the state of one that nobody disturbed.
func TestTortureKill(t *testing.T) {
	if os.Getenv("RIG_TORTURE") == "" {
		t.Skip("takes many minutes: set RIG_TORTURE")
	}
	walk.Skip(t)
	path, err := exec.LookPath("lab")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	events := filepath.Join(dir, "events.json")
	lab := func(args ...string) *exec.Cmd {
		cmd := exec.Command(path, append([]string{"-state", filepath.Join(dir, "state"), "-cache", walk.Cache()}, args...)...)
		cmd.Stderr = os.Stderr
		return cmd
	}
	run := func(args ...string) {
		t.Helper()
		if err := lab(args...).Run(); err != nil {
			t.Fatalf("lab %v: %v", args, err)
		}
	}
	defer run("-q", "-clean")
	start := time.Now()
	run("-q")
	whole := time.Since(start)
	run("-q", "-json", events)
	want := keys(t, events)
	for i := range kills {
		moment := rand.N(whole)
		cmd := lab("-q", "-from", "mygw/container_gw_network")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killed := time.AfterFunc(moment, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
		err := cmd.Wait()
		killed.Stop()
		t.Logf("kill %d after %v: %v", i+1, moment.Round(time.Millisecond), err)
		run("-q")
		run("-q", "-json", events)
		if got := keys(t, events); !maps.Equal(got, want) {
			t.Errorf("kill %d after %v: the stages are %v, want %v", i+1, moment, got, want)
		}
	}
	t.Logf("tally: lab, killed in a run of all machines: %d", kills)
}

// keys returns the key of each stage that a run found as it should be.
func keys(t *testing.T, events string) map[string]string {
	t.Helper()
	file, err := os.Open(events)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	found := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e stage.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == stage.Planned && e.Text == "cached" {
			found[e.Machine+"/"+e.Stage] = e.Key
		}
	}
	return found
}
