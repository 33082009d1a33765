package nspawn_test

import (
	"context"
	"errors"
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
	ctx := testContext(b)
	for b.Loop() {
		begin := time.Now()
		machines := make([]*nspawn.Machine, count)
		errs := make([]error, count)
		var all sync.WaitGroup
		for i := range count {
			all.Go(func() {
				machines[i], errs[i] = hello(ctx, host, nspawn.Config{Name: "many" + itoa(i), Root: roots[i], SuppressSync: true})
			})
		}
		all.Wait()
		took := time.Since(begin)
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
		var memory uint64
		for _, m := range machines {
			memory += residentOf(m)
		}
		fmt.Printf("figure many %d machines said hello after %v, %d KiB each\n", count, took.Round(time.Millisecond), memory/count/1024)
		for i, m := range machines {
			all.Go(func() { errs[i] = m.Stop(ctx) })
		}
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
	}
}

// hello starts a machine that says hello when it is ready.
func hello(ctx context.Context, host *nspawn.Host, config nspawn.Config) (*nspawn.Machine, error) {
	m, err := host.Start(ctx, config)
	if err == nil {
		err = m.WaitReady(ctx)
	}
	if err == nil {
		err = m.Command(ctx, "echo", "hello").Run()
	}
	return m, err
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
