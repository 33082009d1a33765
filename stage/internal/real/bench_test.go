package real

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

// BenchmarkRollback goes back to the stage before the last and runs that again: restore,
// start, step, snapshot. The peer is the document's own way, command by command, with the
// sleeps that its scripts have: one second after a machine was told to stop, five after
// it was told to start. Starting and stopping themselves are as ours.
func BenchmarkRollback(b *testing.B) {
	ctx := context.Background()
	input := filepath.Join(b.TempDir(), "input")
	if err := os.WriteFile(input, []byte("page\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	plan := walkPlan(input)
	plan.Setups = plan.Setups[:1]
	s := newSite(b, 4<<30, plan)
	s.run(stage.Steering{}, "gw/network", "gw/hello", "gw/page", "gw/last")

	m := s.opts.Targets["gw"].Machine
	tree := s.tree("gw", "")
	before, after := tree+"_page", tree+"_last"
	command := func(args ...string) {
		b.Helper()
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%q: %v: %s", args, err, out)
		}
	}
	if _, err := s.open().Rollback(ctx, "gw/page"); err != nil {
		b.Fatal(err)
	}
	command("btrfs", "subvolume", "snapshot", "-r", tree, before)
	theirWay := func() {
		s.check(m.Stop(ctx))
		command("sleep", "1")
		command("btrfs", "subvolume", "delete", tree)
		command("btrfs", "subvolume", "snapshot", before, tree)
		started := make(chan error, 1) // machinectl start waits for less, and the sleep for the rest
		go func() { started <- m.Start(ctx) }()
		command("sleep", "5")
		s.must(<-started)
		s.output("gw", "sh", "-c", "wc -c </srv/page >/srv/size")
		command("btrfs", "subvolume", "snapshot", "-r", tree, after)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		start := time.Now()
		s.run(stage.Steering{From: "gw/last"}, "gw/last")
		ours = append(ours, time.Since(start))
		start = time.Now()
		theirWay()
		theirs = append(theirs, time.Since(start))
		command("btrfs", "subvolume", "delete", after)
	}
	command("btrfs", "subvolume", "delete", before)
	slices.Sort(ours)
	slices.Sort(theirs)
	our, their := ours[len(ours)/2], theirs[len(theirs)/2]
	fmt.Printf("ratio rollback %v %v %.2f\n", our, their, their.Seconds()/our.Seconds())
}
