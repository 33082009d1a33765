package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/prolo"
)

// BenchmarkRollback measures going from the last stage back to the one before it
// and being up again with its checks made.
func BenchmarkRollback(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("not root: cannot boot machines")
	}
	if reason := os.Getenv(noMirror); reason != "" {
		b.Skip("no mirror to install from: " + reason)
	}
	flags, err := prolo.ParseFlags("gw", []string{"-state", b.TempDir() + "/state", "-cache", os.Getenv(mirrorCache)}, os.Stderr)
	if err != nil {
		b.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	setup := prolo.GW()
	lab, err := prolo.Open(b.Context(), flags, setup, null)
	if err != nil {
		b.Fatal(err)
	}
	until := func(stage string) time.Duration {
		flags.Until = stage
		start := time.Now()
		if err := lab.Run(b.Context()); err != nil {
			b.Error(err)
		}
		return time.Since(start)
	}
	last := len(setup.Stages) - 1
	until(setup.Stages[last].Name)
	var times []time.Duration
	for b.Loop() {
		times = append(times, until(setup.Stages[last-1].Name))
		b.StopTimer()
		until(setup.Stages[last].Name)
		b.StartTimer()
	}
	slices.Sort(times)
	fmt.Printf("figure rollback %v (median of %d, longest %v)\n",
		times[len(times)/2].Round(time.Millisecond), len(times), times[len(times)-1].Round(time.Millisecond))
	if err := lab.Close(b.Context()); err != nil {
		b.Error(err)
	}
	if err := prolo.Clean(b.Context(), flags, setup, null); err != nil {
		b.Error(err)
	}
}
