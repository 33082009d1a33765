package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/testmod"
	"github.com/prologin/rig/internal/testroot"
)

// TestReadmeBoots makes a module of README's program, as a newcomer would, and has it
// boot a machine.
func TestReadmeBoots(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a machine")
	}
	root := testroot.Clone(t, testroot.Trixie)
	readme, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := goBlock.FindAllSubmatch(readme, -1)
	if len(blocks) != 1 {
		t.Fatalf("%d programs in README.md, want one", len(blocks))
	}
	const theirs = `"/var/lib/machines/demo"`
	program := strings.Replace(string(blocks[0][1]), theirs, `"`+root+`"`, 1)
	if program == string(blocks[0][1]) {
		t.Fatalf("README's program does not boot %s", theirs)
	}
	dir := testmod.New(t, top, "example.org/demo")
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", "demo", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	// Its records and its machine stay away from this host's.
	demo := exec.Command("unshare", "--mount", "--net", "sh", "-ec", "mount -t tmpfs tmpfs /run; exec "+dir+"/demo")
	if out, err := demo.CombinedOutput(); err != nil || string(out) != "demo\n" {
		t.Errorf("%v:\n%s\nwant the machine's name", err, out)
	}
}
