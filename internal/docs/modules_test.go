package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDependencies compares the modules that go.mod requires with those that the
// design explains.
func TestDependencies(t *testing.T) {
	t.Parallel()
	edit := exec.Command("go", "mod", "edit", "-json")
	edit.Dir = top
	out, err := edit.Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for _, r := range module.Require {
		required[r.Path] = true
	}
	explained := map[string]bool{}
	for line := range strings.Lines(section(t, "design.md", "## Dependencies")) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.Contains(cells[1], "/") {
			explained[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2]) != ""
		}
	}
	if diff := cmp.Diff(explained, required); diff != "" {
		t.Errorf("doc/design.md does not explain what go.mod requires (-explained +required):\n%s", diff)
	}
}

// section returns the part of a page of doc/ below a heading, up to the next one of
// its level.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "doc", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	rest, _, _ = strings.Cut(rest, "\n"+level+" ")
	return rest
}
