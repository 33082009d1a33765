package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/walk"
	"github.com/prologin/rig/stage"
)

// BenchmarkRollback measures going from the last stage back to the one before it
// and being up again with its checks made.
func BenchmarkRollback(b *testing.B) {
	walk.Skip(b)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	args := []string{"-state", b.TempDir() + "/state", "-cache", walk.Cache()}
	gw := program()
	gw.After = func(ctx context.Context, lab *stage.Lab) error { return rollback(ctx, b, lab) }
	if status := gw.Exec(b.Context(), args, null, os.Stderr); status != 0 {
		b.Errorf("gw ended with status %d", status)
	}
	clean := program()
	if status := clean.Exec(b.Context(), append(args, "-clean"), null, os.Stderr); status != 0 {
		b.Errorf("gw -clean ended with status %d", status)
	}
}

func rollback(ctx context.Context, b *testing.B, lab *stage.Lab) error {
	until := func(name string) (time.Duration, error) {
		start := time.Now()
		_, err := lab.Run(ctx, stage.Steering{Until: name})
		return time.Since(start), err
	}
	names := lab.Stages()
	last := len(names) - 1
	var times []time.Duration
	for b.Loop() {
		took, err := until(names[last-1])
		if err != nil {
			return err
		}
		times = append(times, took)
		b.StopTimer()
		if _, err := until(names[last]); err != nil {
			return err
		}
		b.StartTimer()
	}
	slices.Sort(times)
	fmt.Printf("figure rollback %v (median of %d, longest %v)\n",
		times[len(times)/2].Round(time.Millisecond), len(times), times[len(times)-1].Round(time.Millisecond))
	return nil
}
