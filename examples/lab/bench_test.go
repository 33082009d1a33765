package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prologin/rig/examples/internal/walk"
)

// BenchmarkLab measures the whole lab: from an empty directory, with nothing to do,
// after a change at the end of gw, and beside the same machines one after another.
func BenchmarkLab(b *testing.B) {
	walk.Skip(b)
	state := filepath.Join(b.TempDir(), "state")
	run := func(program string, args ...string) time.Duration {
		b.Helper()
		path, err := exec.LookPath(program)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		out, err := exec.Command(path, append([]string{"-state", state, "-cache", walk.Cache(), "-q"}, args...)...).CombinedOutput()
		if err != nil {
			b.Fatalf("%s %v: %v\n%s", program, args, err, out)
		}
		return time.Since(start)
	}
	defer run("lab", "-clean")
	figure := func(name string, took time.Duration) {
		fmt.Printf("figure %s %v\n", name, took.Round(10*time.Millisecond))
	}
	for b.Loop() {
		figure("lab-base", run("host"))
		figure("lab-cold", run("lab"))
		figure("lab-boot", run("lab", "-keep"))
		figure("lab-warm", run("lab", "-keep"))
		const from = "mygw/hfsdb" // near gw's end; all other machines come after it
		side := run("lab", "-from", from)
		figure("lab-changed", side)
		one := run("gw", "-from", "hfsdb") + run("rhfs", "-from", "add_to_mdb") +
			run("web", "-from", "add_to_mdb") + run("pas", "-from", "setup_rootfs")
		fmt.Printf("ratio lab-parallel %.1f %.1f %.2f\n", side.Seconds(), one.Seconds(), one.Seconds()/side.Seconds())
	}
}
