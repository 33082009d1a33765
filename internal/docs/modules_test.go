package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// TestRooms fails when one of the packages that know nothing of each other does.
func TestRooms(t *testing.T) {
	t.Parallel()
	const module = "github.com/prologin/rig/"
	rooms := []string{"nspawn", "netsetup", "snapshot", "archboot", "archboot/archtest", "stage"}
	for _, room := range rooms {
		list := exec.Command("go", "list", "-deps", "./"+room)
		list.Dir = top
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		self := false
		for dep := range strings.Lines(string(out)) {
			name, ours := strings.CutPrefix(strings.TrimSpace(dep), module)
			switch {
			case ours && name == room:
				self = true
			case ours && slices.Contains(rooms, name):
				t.Errorf("%s imports %s", room, name)
			case room == "stage" && !ours && strings.Contains(strings.Split(name, "/")[0], ".") && !strings.HasPrefix(name, "golang.org/x/sync/"):
				t.Errorf("stage imports %s", name)
			}
		}
		if !self {
			t.Errorf("%s is not among what it takes to build it", room)
		}
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
