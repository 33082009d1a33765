//go:build cgo

package snapshot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containerd/btrfs/v2"
)

// entries is the size of the trees that are measured: that of an operating system.
const entries = 100_000

// plant makes a tree of n entries below dir: a directory for each hundred, small files
// of several sizes, and a symbolic link in each.
func plant(b *testing.B, dir string, n int) {
	b.Helper()
	text := make([]byte, 16<<10)
	for i := range text {
		text[i] = byte(i * 7)
	}
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprintf("d%d/d%d", i/10_000, i/100))
		name := filepath.Join(sub, fmt.Sprintf("f%d", i))
		var err error
		switch i % 100 {
		case 0:
			err = os.MkdirAll(sub, 0o755)
		case 1:
			err = os.Symlink("elsewhere", name)
		default:
			err = os.WriteFile(name, text[:i*37%4096+i%10/9*8192], 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// A contest measures two ways to do the same in turns, and prints the ratio of their
// medians in a line of its own: ratio NAME OURS THEIRS THEIRS/OURS.
type contest struct {
	name         string
	ours, theirs []time.Duration
	before       func() // each measurement, not measured; may be nil
}

func (c *contest) run(b *testing.B, ours, theirs func() error) {
	b.Helper()
	for _, side := range []struct {
		times *[]time.Duration
		f     func() error
	}{{&c.ours, ours}, {&c.theirs, theirs}} {
		if c.before != nil {
			c.before()
		}
		start := time.Now()
		if err := side.f(); err != nil {
			b.Fatal(err)
		}
		*side.times = append(*side.times, time.Since(start))
	}
}

// slope is the report of one way on two sizes: 1 is flat.
func (c *contest) slope() {
	small, large := median(c.ours), median(c.theirs)
	fmt.Printf("\nslope %s %v %v %.2f\n", c.name, small, large, float64(large)/float64(small))
}

func (c *contest) report(b *testing.B) {
	ours, theirs := median(c.ours), median(c.theirs)
	b.ReportMetric(float64(ours)/1e6, "ours-ms")
	b.ReportMetric(float64(theirs)/1e6, "theirs-ms")
	b.ReportMetric(float64(theirs)/float64(ours), "ratio")
	fmt.Printf("\nratio %s %v %v %.2f\n", c.name, ours, theirs, float64(theirs)/float64(ours))
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

func command(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// quiet waits until the file system has nothing to do in the background.
func quiet(b *testing.B, dir string) {
	b.Helper()
	if err := command("btrfs", "filesystem", "sync", dir); err != nil {
		b.Fatal(err)
	}
	if err := command("btrfs", "subvolume", "sync", dir); err != nil {
		b.Fatal(err)
	}
}

// btrfsBench is a volume of n entries on a pool of the benchmark's own.
func btrfsBench(b *testing.B, n int) *Volume { return planted(b, newPool(b, 8<<30), n) }

// memoryBench is the same in memory, where flushing costs nothing.
func memoryBench(b *testing.B, n int) *Volume {
	dir := filepath.Join(newTmpfs(b), "pool")
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	return planted(b, newPoolIn(b, dir, 2<<30), n)
}

func planted(b *testing.B, p *Pool, n int) *Volume {
	b.Helper()
	v := newVolume(b, openStore(b, p.Dir(), Options{Driver: Btrfs()}), "gw")
	plant(b, v.Path(), n)
	quiet(b, v.store.Dir())
	return v
}

// BenchmarkSnapshotCreate: against the btrfs program, which keeps no record of it.
func BenchmarkSnapshotCreate(b *testing.B) {
	benchmarkCreate(b, btrfsBench(b, entries), "snapshot-create")
}

// BenchmarkSnapshotCreateMemory: the same without the disk's share of it.
func BenchmarkSnapshotCreateMemory(b *testing.B) {
	benchmarkCreate(b, memoryBench(b, entries), "snapshot-create-memory")
}

func benchmarkCreate(b *testing.B, v *Volume, name string) {
	c, i := contest{name: name}, 0
	for b.Loop() {
		i++
		c.run(b, func() error {
			_, err := v.Snapshot(b.Context(), fmt.Sprint("s", i), Metadata{Key: "k"})
			return err
		}, func() error {
			return command("btrfs", "subvolume", "snapshot", "-r", v.Path(), filepath.Join(v.store.Dir(), fmt.Sprint("their", i)))
		})
	}
	c.report(b)
}

// BenchmarkCheckpoint: of a lab of eight machines, against as many calls of the program.
func BenchmarkCheckpoint(b *testing.B) {
	first := btrfsBench(b, entries)
	base := take(b, first, "base", Metadata{})
	volumes := []*Volume{first}
	for n := range 7 {
		v, err := first.store.Clone(b.Context(), fmt.Sprint("v", n), base)
		if err != nil {
			b.Fatal(err)
		}
		volumes = append(volumes, v)
	}
	dir := first.store.Dir()
	c, i := contest{name: "snapshot-checkpoint-8", before: func() { quiet(b, dir) }}, 0
	for b.Loop() {
		i++
		c.run(b, func() error {
			_, err := first.store.Checkpoint(b.Context(), fmt.Sprint("s", i), Metadata{Key: "k"}, volumes...)
			return err
		}, func() error {
			for n, v := range volumes {
				if err := command("btrfs", "subvolume", "snapshot", "-r", v.Path(), filepath.Join(dir, fmt.Sprint("their", i, "-", n))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	c.report(b)
}

// BenchmarkSnapshotRestore: against what one does by hand with the btrfs program.
func BenchmarkSnapshotRestore(b *testing.B) {
	benchmarkRestore(b, btrfsBench(b, entries), "snapshot-restore")
}

// BenchmarkSnapshotRestoreMemory: the same without the disk's share of it.
func BenchmarkSnapshotRestoreMemory(b *testing.B) {
	benchmarkRestore(b, memoryBench(b, entries), "snapshot-restore-memory")
}

func benchmarkRestore(b *testing.B, v *Volume, name string) {
	take(b, v, "s", Metadata{})
	their := filepath.Join(v.store.Dir(), "their")
	if err := command("btrfs", "subvolume", "snapshot", v.frozen("s"), their); err != nil {
		b.Fatal(err)
	}
	c := contest{name: name, before: func() { quiet(b, v.store.Dir()) }}
	for b.Loop() {
		c.run(b, func() error { return v.Restore(b.Context(), "s") }, func() error {
			if err := command("btrfs", "subvolume", "delete", their); err != nil {
				return err
			}
			return command("btrfs", "subvolume", "snapshot", v.frozen("s"), their)
		})
	}
	c.report(b)
}

// BenchmarkSnapshotDelete: against containerd's library, which looks into every
// directory for nested subvolumes.
func BenchmarkSnapshotDelete(b *testing.B) {
	v := btrfsBench(b, entries)
	c, i := contest{name: "snapshot-delete"}, 0
	for b.Loop() {
		i++
		ours, their := fmt.Sprint("s", i), filepath.Join(v.store.Dir(), fmt.Sprint("their", i))
		take(b, v, ours, Metadata{})
		if err := btrfs.SubvolSnapshot(their, v.Path(), false); err != nil {
			b.Fatal(err)
		}
		c.run(b, func() error { return v.DeleteSnapshot(b.Context(), ours) },
			func() error { return btrfs.SubvolDelete(their) })
	}
	c.report(b)
}

// BenchmarkOverlaySnapshot and BenchmarkCopySnapshot: in memory, where what is measured
// is the work and not the disk.
func BenchmarkOverlaySnapshot(b *testing.B) { benchmarkAgainstCopy(b, Overlay(), "overlay-snapshot") }

func BenchmarkCopySnapshot(b *testing.B) { benchmarkAgainstCopy(b, Copy(), "copy-snapshot") }

func benchmarkAgainstCopy(b *testing.B, d Driver, name string) {
	v := newVolume(b, openStore(b, newTmpfs(b), Options{Driver: d}), "gw")
	plant(b, v.Path(), entries)
	versusCp(b, v, name)
}

// BenchmarkCopySnapshotReflink: the same where blocks can be shared.
func BenchmarkCopySnapshotReflink(b *testing.B) {
	v := newVolume(b, openStore(b, newPool(b, 8<<30).Dir(), Options{Driver: Copy()}), "gw")
	plant(b, v.Path(), entries)
	versusCp(b, v, "copy-snapshot-reflink")
}

// versusCp compares with cp and sync -f: our copy is durable when it is done.
func versusCp(b *testing.B, v *Volume, name string) {
	their := filepath.Join(v.store.Dir(), "their")
	c, i := contest{name: name}, 0
	for b.Loop() {
		i++
		if err := command("sync", "-f", v.store.Dir()); err != nil {
			b.Fatal(err)
		}
		c.run(b, func() error {
			_, err := v.Snapshot(b.Context(), fmt.Sprint("s", i), Metadata{})
			return err
		}, func() error {
			if err := command("cp", "-a", "--reflink=auto", v.Path(), their); err != nil {
				return err
			}
			return command("sync", "-f", their)
		})
		if err := os.RemoveAll(their); err != nil {
			b.Fatal(err)
		}
		if err := v.DeleteSnapshot(b.Context(), fmt.Sprint("s", i)); err != nil {
			b.Fatal(err)
		}
	}
	c.report(b)
}

// BenchmarkSlope prints how the time of a snapshot and of a restoration depends on the
// number of entries: 1 is not at all.
func BenchmarkSlope(b *testing.B) {
	small, large := btrfsBench(b, entries/100), btrfsBench(b, entries)
	create, restore, i := contest{name: "snapshot-create"}, contest{name: "snapshot-restore"}, 0
	for b.Loop() {
		i++
		name := fmt.Sprint("s", i)
		taking := func(v *Volume) func() error {
			return func() error { _, err := v.Snapshot(b.Context(), name, Metadata{}); return err }
		}
		restoring := func(v *Volume) func() error { return func() error { return v.Restore(b.Context(), name) } }
		create.run(b, taking(small), taking(large))
		restore.run(b, restoring(small), restoring(large))
	}
	create.slope()
	restore.slope()
}
