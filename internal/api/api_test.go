package api_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/prologin/rig/internal/api"
	"github.com/prologin/rig/internal/golden"
)

// TestPromises compares what each public package exports with what is on record:
// whoever changes a promise changes the record with it, on purpose.
func TestPromises(t *testing.T) {
	t.Parallel()
	var recorded []string
	for _, pkg := range publicPackages(t) {
		record := strings.ReplaceAll(pkg, "/", ".") + ".txt"
		recorded = append(recorded, record)
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			got, err := api.Render(filepath.Join("..", "..", pkg))
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, filepath.Join("testdata", record), got)
		})
	}
	t.Cleanup(func() { checkRecords(t, recorded) }) // when those are written that are new
}

// TestRenderGeneric: methods follow their types, however many parameters these have.
func TestRenderGeneric(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const source = "package p\n\ntype Set[T any] struct{}\n\nfunc (s *Set[T]) Len() int { return 0 }\n\n" +
		"type Map[K comparable, V any] struct{}\n\nfunc (m Map[K, V]) Len() int { return 0 }\n"
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := api.Render(dir)
	const want = "type Map[K comparable, V any] struct{}\nfunc (m Map[K, V]) Len() int\n" +
		"type Set[T any] struct{}\nfunc (s *Set[T]) Len() int\n"
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

// checkRecords wants one record for each package.
func checkRecords(t *testing.T, want []string) {
	slices.Sort(want)
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, entry := range entries {
		have = append(have, entry.Name())
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("records without a package or packages without a record (-packages +records):\n%s", diff)
	}
}

// publicPackages lists the packages that other modules can import, relative to
// the module's directory.
func publicPackages(t *testing.T) (dirs []string) {
	const module = "github.com/prologin/rig"
	list := exec.Command("go", "list", "-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		dir, found := strings.CutPrefix(strings.TrimSpace(string(line)), module+"/")
		if found && fs.ValidPath(dir) && !strings.Contains("/"+dir+"/", "/internal/") {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// TestExamples wants a package comment and a runnable example of each public package.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, pkg := range publicPackages(t) {
		if strings.HasPrefix(pkg, "examples/") {
			continue // shown by being one
		}
		sources, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		documented, example := false, false
		for _, path := range sources {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || bytes.Contains(text, []byte("// Package "+filepath.Base(pkg)+" "))
			example = example || strings.HasSuffix(path, "_test.go") && bytes.Contains(text, []byte("\nfunc Example"))
		}
		if !documented || !example {
			t.Errorf("%s: package comment %v, example %v", pkg, documented, example)
		}
	}
}
