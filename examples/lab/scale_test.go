package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/walk"
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
	state := filepath.Join(t.TempDir(), "state")
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
		start := time.Now()
		lab("-contestants", word, "-only", strings.Join(contestants(n), ","), "-keep")
		took, used := time.Since(start), memory(t)
		fmt.Printf("figure scale-%d %v, %v and %d MiB a machine\n", n, took.Round(100*time.Millisecond),
			(took / time.Duration(n)).Round(time.Millisecond), used/int64(n)>>20)
		lab("-only", "mygw") // stops all
		lab("-only", "mygw", "-keep")
	}
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
