package rigtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/prologin/rig/internal/testmod"
	"github.com/prologin/rig/rigtest"
)

// TestOtherModule runs the tests of a module that is not this one, and has this one in
// its go.mod.
func TestOtherModule(t *testing.T) {
	t.Parallel()
	rigtest.New(t) // skips where the others would
	dir := testmod.New(t, "..", "example.org/embedded")
	copyFile(t, filepath.Join(dir, "server_test.go"), "testdata/embedded/server_test.go")
	out := goTest(t, dir, "-run", "TestServer")
	want(t, out, `(?m)^ok\s+example.org/embedded`)
	out = goTest(t, dir, "-run", "TestJournalOfFailure")
	want(t, out, `sad: .*false.*exit status 1`)
	want(t, out, `the journal of sad(?s:.*)witness: something is amiss`)
}

func goTest(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"test"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off")
	out, _ := cmd.CombinedOutput() // one of them is to fail
	return string(out)
}

func want(t *testing.T, out, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(out) {
		t.Errorf("no match for %s in\n%s", pattern, out)
	}
}

func copyFile(t *testing.T, to, from string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
