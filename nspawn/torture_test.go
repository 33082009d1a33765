package nspawn_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// torture is how much of the full measure RIG_TORTURE asks for, in percent.
func torture(t *testing.T) int {
	t.Helper()
	asked := os.Getenv("RIG_TORTURE")
	if asked == "" {
		t.Skip("takes minutes: set RIG_TORTURE=1, or to a percentage from 2 on")
	}
	if percent, err := strconv.Atoi(asked); err == nil && percent > 1 {
		return percent
	}
	return 100
}

// TestTorture starts and stops a machine 200 times and runs 10000 commands, and
// wants nothing to grow: descriptors, threads, goroutines, mounts, control
// groups, memory.
func TestTorture(t *testing.T) {
	percent := torture(t)
	host := openHost(t, nspawn.HostOptions{Logger: nil})
	config := nspawn.Config{Name: "tortured", Root: newRoot(t), SuppressSync: true}
	ctx := t.Context()
	cycle := func(commands int) {
		m, err := host.Start(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		for range commands {
			if err := m.Command(ctx, "/bin/true").Run(); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		cycle(50)
	}
	before := takeStock(t)
	for range 2 * percent {
		cycle(50)
	}
	after := takeStock(t)
	t.Logf("before: %+v, after: %+v", before, after)
	t.Logf("tally: nspawn, starts and stops with nothing left: %d", 2*percent)
	t.Logf("tally: nspawn, commands with nothing left: %d", 2*percent*50)
	for name, most := range map[string]int{"descriptors": 2, "goroutines": 2, "mounts": 0, "cgroups": 0, "threads": 6, "KiB": 8 << 10} {
		if grown := after[name] - before[name]; grown > most {
			t.Errorf("%d %s more than before", grown, name)
		}
	}
}

// takeStock counts what a leak would make more of. Mounts and control groups are
// those with this test's names.
func takeStock(t *testing.T) map[string]int {
	t.Helper()
	runtime.GC()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	cgroups := 0
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		for _, place := range []string{"rig/*/tortured*", "machine.slice/rig-tortured*"} {
			found, _ := filepath.Glob(filepath.Join(hierarchy, place))
			cgroups += len(found)
		}
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return map[string]int{
		"descriptors": len(entries), "goroutines": runtime.NumGoroutine(), "threads": len(threads),
		"mounts": strings.Count(string(mounts), "tortured"), "cgroups": cgroups, "KiB": int(memory.HeapAlloc >> 10),
	}
}
