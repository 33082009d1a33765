package stage_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// large is a lab of machines with many stages each, where each machine needs the first.
func large(machines, count int) stage.Plan {
	p := stage.Plan{Name: "large"}
	for i := range machines {
		s := stage.Setup{Machine: fmt.Sprintf("m%d", i)}
		for n := range count {
			st := stage.Stage{Name: fmt.Sprintf("stage%d", n), Steps: []stage.Step{do(fmt.Sprint(i, n)), do("again")}}
			if i > 0 && n == count/2 {
				st.Needs = []string{"m0/stage1"}
			}
			s.Stages = append(s.Stages, st)
		}
		p.Setups = append(p.Setups, s)
	}
	return p
}

// benchLab is a lab of fakes.
func benchLab(b *testing.B, p stage.Plan, dir string) (*stage.Lab, map[string]*stagetest.Machine) {
	b.Helper()
	opts := stage.Options{StateDir: filepath.Join(dir, "state"), Targets: map[string]stage.Target{}}
	machines := map[string]*stagetest.Machine{}
	for _, s := range p.Setups {
		v, err := stagetest.NewVolume(filepath.Join(dir, s.Machine), nil)
		if err != nil {
			b.Fatal(err)
		}
		machines[s.Machine] = stagetest.NewMachine(v)
		opts.Targets[s.Machine] = stage.Target{Machine: machines[s.Machine], Volume: v}
	}
	lab, err := stage.Open(p, opts)
	if err != nil {
		b.Fatal(err)
	}
	return lab, machines
}

func run(b *testing.B, lab *stage.Lab, s stage.Steering) {
	b.Helper()
	if _, err := lab.Run(context.Background(), s); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkNoop is a run in which nothing is left to do: 4 machines with 25 stages.
func BenchmarkNoop(b *testing.B) {
	p, dir := large(4, 25), b.TempDir()
	lab, _ := benchLab(b, p, dir)
	run(b, lab, stage.Steering{})
	for b.Loop() {
		lab, _ := benchLab(b, p, dir) // as a program that starts
		run(b, lab, stage.Steering{Offline: true})
	}
}

// BenchmarkPlan writes the plan of 20 machines with 200 stages.
func BenchmarkPlan(b *testing.B) {
	p, dir := large(20, 200), b.TempDir()
	for b.Loop() {
		lab, _ := benchLab(b, p, dir)
		if err := lab.WritePlan(context.Background(), io.Discard, stage.Steering{}); err != nil {
			b.Fatal(err)
		}
	}
}

// spawn is a program of the fake machine that starts a real process.
func spawn(context.Context, *stagetest.Proc) error { return exec.Command("true").Run() }

// BenchmarkStepOverhead compares a stage of 100 steps, with all that belongs to it, with
// the bare commands.
func BenchmarkStepOverhead(b *testing.B) {
	const steps = 100
	st := stage.Stage{Name: "s"}
	for range steps {
		st.Steps = append(st.Steps, command{"spawn"})
	}
	p := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "m", Stages: []stage.Stage{st}}}}
	lab, machines := benchLab(b, p, b.TempDir())
	machines["m"].Handle("spawn", spawn)
	run(b, lab, stage.Steering{})
	var ours, bare []time.Duration
	for b.Loop() {
		start := time.Now()
		run(b, lab, stage.Steering{From: "s"})
		ours = append(ours, time.Since(start)/steps)
		start = time.Now()
		for range steps {
			if err := machines["m"].Exec(context.Background(), stage.Command{Args: []string{"spawn"}}); err != nil {
				b.Fatal(err)
			}
		}
		bare = append(bare, time.Since(start)/steps)
	}
	b.ReportMetric(float64((median(ours) - median(bare)).Microseconds()), "overhead-µs/step")
	ratio("step-overhead", median(ours), median(bare))
}

// BenchmarkParallel compares two machines side by side with one after the other.
func BenchmarkParallel(b *testing.B) {
	p := stage.Plan{Name: "lab"}
	for _, m := range []string{"a", "b"} {
		s := stage.Setup{Machine: m}
		for n := range 5 {
			s.Stages = append(s.Stages, stage.Stage{Name: fmt.Sprint("s", n), Steps: []stage.Step{command{"sleep", "0.05"}}})
		}
		p.Setups = append(p.Setups, s)
	}
	lab, _ := benchLab(b, p, b.TempDir())
	run(b, lab, stage.Steering{})
	var both, each []time.Duration
	for b.Loop() {
		start := time.Now()
		run(b, lab, stage.Steering{Rerun: []string{"a/s0", "b/s0"}})
		both = append(both, time.Since(start))
		start = time.Now()
		run(b, lab, stage.Steering{From: "a/s0", Only: []string{"a"}})
		run(b, lab, stage.Steering{From: "b/s0", Only: []string{"b"}})
		each = append(each, time.Since(start))
	}
	ratio("parallel", median(both), median(each))
}

// BenchmarkHash computes the key of a stage whose input is a tree of 256 MiB, first
// from the files and then from what is remembered of them; sha256sum is the peer.
func BenchmarkHash(b *testing.B) {
	tree := b.TempDir()
	const files, size = 64, 4 << 20
	data := make([]byte, size)
	past := time.Now().Add(-time.Hour)
	for i := range files {
		name := filepath.Join(tree, fmt.Sprint(i))
		data[0] = byte(i)
		if err := os.WriteFile(name, data, 0o644); err != nil {
			b.Fatal(err)
		}
		if err := os.Chtimes(name, past, past); err != nil {
			b.Fatal(err)
		}
	}
	p := stage.Plan{Name: "lab", Setups: []stage.Setup{{Machine: "m", Stages: []stage.Stage{{Name: "s", Inputs: []stage.Input{{File: tree}}}}}}}
	preview := func(dir string) time.Duration {
		lab, _ := benchLab(b, p, dir)
		start := time.Now()
		if _, err := lab.Preview(context.Background(), stage.Steering{}); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	<-time.After(2100 * time.Millisecond) // until the files are old enough to be remembered
	b.SetBytes(files * size)
	var cold, warm, theirs []time.Duration
	for b.Loop() {
		dir := b.TempDir()
		cold = append(cold, preview(dir))
		warm = append(warm, preview(dir))
		start := time.Now()
		if err := exec.Command("sh", "-c", "sha256sum "+tree+"/* >/dev/null").Run(); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, time.Since(start))
	}
	b.ReportMetric(float64(files*size)/1e9/median(cold).Seconds(), "GB/s")
	b.ReportMetric(float64(median(warm).Microseconds()), "unchanged-µs")
	ratio("hash", median(cold), median(theirs))
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// ratio prints a comparison for make bench: our time, theirs, and how many times ours
// goes into theirs.
func ratio(name string, ours, theirs time.Duration) {
	fmt.Printf("ratio %s %v %v %.2f\n", name, ours, theirs, theirs.Seconds()/ours.Seconds())
}
