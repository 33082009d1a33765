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

// TestReadmeBoots has README's program boot a machine.
func TestReadmeBoots(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a machine")
	}
	root := testroot.Clone(t, testroot.Trixie)
	demo := program(t, "README.md", `"/var/lib/machines/demo"`, `"`+root+`"`)
	if out := apart(t, demo); out != "demo\n" {
		t.Errorf("it says %q, want the machine's name", out)
	}
}

// TestOwnSetupRuns has the guide's program run its stages, and then nothing again.
func TestOwnSetupRuns(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a machine")
	}
	wiki := program(t, "doc/own-setup.md", "func main() {", "func main() {")
	args := []string{testroot.Debian(t, testroot.Trixie), t.TempDir()}
	for _, want := range []string{
		"ran [wiki/install wiki/start] cached []\n",
		"ran [] cached [wiki/install wiki/start]\n",
	} {
		if out := apart(t, wiki, args...); out != want {
			t.Errorf("it says %q, want %q", out, want)
		}
	}
}

// program makes a module of the program in a page that has the text old, as a newcomer
// would, with another text in its place, and returns what the go command makes of it.
func program(t *testing.T, page, old, text string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(top, page))
	if err != nil {
		t.Fatal(err)
	}
	dir := testmod.New(t, top, "example.org/demo")
	for _, block := range goBlock.FindAllStringSubmatch(string(content), -1) {
		if !strings.Contains(block[1], old) {
			continue
		}
		source := strings.Replace(block[1], old, text, 1)
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", "demo", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod -buildvcs=false", "GOPROXY=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s has no program with %q that can be built: %v:\n%s", page, old, err, out)
	}
	return filepath.Join(dir, "demo")
}

// apart runs a program whose records and machines stay away from this host's.
func apart(t *testing.T, name string, args ...string) string {
	t.Helper()
	script := `mount -t tmpfs tmpfs /run; exec "$0" "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--net", "sh", "-ec", script, name}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}
