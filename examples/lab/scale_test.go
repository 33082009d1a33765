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
		before, start := available(t), time.Now()
		lab("-contestants", word, "-only", strings.Join(contestants(n), ","), "-keep")
		took, used := time.Since(start), before-available(t)
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

// available is the memory that is free for programs, in bytes.
func available(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); fields[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no MemAvailable in /proc/meminfo")
	return 0
}
