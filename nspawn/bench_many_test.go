package nspawn_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
)

// BenchmarkMany starts 24 machines together, each of which says hello.
func BenchmarkMany(b *testing.B) {
	host := openHost(b, nspawn.HostOptions{})
	const count = 24
	roots := make([]string, count)
	for i := range roots {
		roots[i] = newRoot(b)
	}
	for b.Loop() {
		begin := time.Now()
		var all sync.WaitGroup
		machines := make([]*nspawn.Machine, count)
		for i := range machines {
			all.Go(func() {
				machines[i] = boot(b, host, nspawn.Config{Name: "many" + itoa(i), Root: roots[i]})
				shell(b, machines[i], "echo hello")
			})
		}
		all.Wait()
		if b.Failed() {
			b.FailNow() // as boot does, but here it ends the benchmark
		}
		took := time.Since(begin)
		var memory uint64
		for _, m := range machines {
			memory += residentOf(m)
		}
		fmt.Printf("figure many %d machines said hello after %v, %d KiB each\n", count, took.Round(time.Millisecond), memory/count/1024)
		for _, m := range machines {
			all.Go(func() { _ = m.Stop(b.Context()) })
		}
		all.Wait()
	}
}

// residentOf is the memory of a machine's processes that no other shares.
func residentOf(m *nspawn.Machine) (total uint64) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/[0-9]*/smaps_rollup", m.Leader()))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for line := range strings.Lines(string(data)) {
			var kib uint64
			if n, _ := fmt.Sscanf(line, "Pss: %d kB", &kib); n == 1 {
				total += kib * 1024
			}
		}
	}
	return total
}
