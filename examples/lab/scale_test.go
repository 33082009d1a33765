package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/walk"
	"github.com/prologin/rig/stage"
)

// TestScale starts ever more contestants' machines beside gw. Each has to get its
// address and its name and to report in. RIG_SCALE lists how many.
func TestScale(t *testing.T) {
	if os.Getenv("RIG_SCALE") == "" {
		t.Skip(`set RIG_SCALE to numbers of machines, such as "1 10 50 100"`)
	}
	walk.Skip(t)
	path, err := exec.LookPath("lab")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	state, events := filepath.Join(dir, "state"), filepath.Join(dir, "events.json")
	lab := func(args ...string) {
		t.Helper()
		cmd := exec.Command(path, append([]string{"-state", state, "-cache", walk.Cache(), "-q"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("lab %v: %v\n%s", args, err, out)
		}
	}
	defer lab("-clean")
	lab("-only", "mygw", "-keep")
	for word := range strings.FieldsSeq(os.Getenv("RIG_SCALE")) {
		n, err := strconv.Atoi(word)
		if err != nil {
			t.Fatal(err)
		}
		free, err := walk.FreeInotify()
		if err != nil {
			t.Fatal(err)
		}
		if n*walk.InotifyEach > free {
			t.Logf("%d machines are left out: their service managers want %d inotify instances, and root has %d left; try sysctl fs.inotify.max_user_instances=%d",
				n, n*walk.InotifyEach, free, 128+n*8)
			continue
		}
		start := time.Now()
		lab("-contestants", word, "-only", strings.Join(contestants(n), ","), "-keep", "-json", events)
		took, used := time.Since(start), memory(t)
		fmt.Printf("figure scale-%d all %v each %v %s memory %dMiB\n", n, took.Round(10*time.Millisecond),
			(took / time.Duration(n)).Round(time.Millisecond), medians(readEvents(t, events)), used/int64(n)>>20)
		lab("-only", "mygw") // stops all
		lab("-only", "mygw", "-keep")
	}
}

// medians are how long half of the light machines took, at most, to boot, to get their address
// and to report in.
func medians(events []stage.Event) string {
	times := map[string][]time.Duration{}
	for _, e := range events {
		name := map[string]string{"/started": "boot", "get_lease/stage-ended": "lease", "report_in/stage-ended": "report"}[e.Stage+"/"+string(e.Kind)]
		if strings.HasPrefix(e.Machine, "pas-r2") && name != "" {
			times[name] = append(times[name], e.Elapsed)
		}
	}
	var words []string
	for _, name := range []string{"boot", "lease", "report"} {
		if list := slices.Sorted(slices.Values(times[name])); len(list) > 0 {
			words = append(words, name, list[len(list)/2].Round(time.Millisecond).String())
		}
	}
	return strings.Join(words, " ")
}

// contestants are the names of the first n light machines.
func contestants(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("pas-r%02dp%02d.prolo", 21+i/20, 1+i%20))
	}
	return names
}

// memory is what the processes of the light machines take, in bytes: what several of
// them share is divided among them.
func memory(t *testing.T) (bytes int64) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		group, err := os.ReadFile(process + "/cgroup")
		if err != nil || !strings.Contains(string(group), "/pas-r2") {
			continue // it has ended, or is another's
		}
		rollup, _ := os.ReadFile(process + "/smaps_rollup")
		for line := range strings.Lines(string(rollup)) {
			if fields := strings.Fields(line); fields[0] == "Pss:" {
				kib, err := strconv.ParseInt(fields[1], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				bytes += kib << 10
			}
		}
	}
	return bytes
}
