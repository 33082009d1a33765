package docs_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the manual set-up as lab -plan prints it")

const manual = `# The same by hand

This page is what ` + "`go run ./examples/lab -plan`" + ` prints, so it says what the programs do. Each of them has
the flag for its own part. A line that begins with a machine's name is typed in that machine
(` + "`machinectl shell`" + `, or a login), one with host# on the host.

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
	path := filepath.Join(top, "doc", "manual.md")
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("%s is not what lab -plan prints; go test ./internal/docs -update writes it (-page +lab):\n%s", path, diff)
	}
}
