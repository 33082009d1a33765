package docs_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/golden"
)

const manual = `# The same by hand

This page is what ` + "`go run ./examples/lab -plan`" + ` prints, so it says what the programs do. Each of them has
the flag for its own part. A line that begins with a machine's name is typed in that machine
(` + "`machinectl shell`" + `, or a login), one with host# on the host.

What is copied from /var/lib/rig/sadm is the payload: a checkout of prologin-sadm, or the stand-in,
which is examples/sadm in this repository. The address 10.0.0.1:8730 is that of the embedded mirror,
which runs as long as the programs do: by hand, packages come from where pacman.conf says, and any
address of the internet does for those checks.

`

// testManual compares the page with what the lab's program prints.
func testManual(t *testing.T, dir string) {
	state := t.TempDir() // of no lab, so that nothing is done yet
	plan := exec.Command(filepath.Join(dir, "lab"), "-plan", "-state", state)
	plan.Dir = t.TempDir()
	out, err := plan.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := manual + "```text\n" + strings.ReplaceAll(string(out), state, "/var/lib/rig") + "```\n"
	golden.Equal(t, filepath.Join(top, "doc", "manual.md"), want)
}
