package docs_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestSamePrograms builds the examples here and in a copy of the module elsewhere:
// with -trimpath, as the Makefile builds them, they are the same bytes.
// RIG_REBUILD compiles the copy without what is cached, which takes a minute.
func TestSamePrograms(t *testing.T) {
	t.Parallel()
	copied := filepath.Join(t.TempDir(), "elsewhere")
	copyModule(t, copied)
	var cache []string
	which := "./examples/lab" // which is made of all packages
	if os.Getenv("RIG_REBUILD") != "" {
		cache, which = []string{"GOCACHE=" + t.TempDir()}, "./examples/..."
	}
	here, there := buildTrimmed(t, top, which, nil), buildTrimmed(t, copied, which, cache)
	programs, err := os.ReadDir(here)
	if err != nil || len(programs) == 0 {
		t.Fatalf("%d programs: %v", len(programs), err)
	}
	for _, program := range programs {
		first, err := os.ReadFile(filepath.Join(here, program.Name()))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(there, program.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, second) {
			t.Errorf("%s differs when it is built elsewhere", program.Name())
		}
		if bytes.Contains(second, []byte(copied)) {
			t.Errorf("%s contains the directory that it was built in", program.Name())
		}
	}
}

func buildTrimmed(t *testing.T, module, which string, env []string) string {
	t.Helper()
	dir := t.TempDir()
	// A copy has no history, so that neither build is to be stamped with one.
	compile := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", dir+"/", which)
	compile.Dir = module
	compile.Env = append(compile.Environ(), env...)
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return dir
}

// copyModule copies the module's files, without history and programs.
func copyModule(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		switch {
		case name == ".git" || name == "bin":
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
