package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// licences tells the licences that are compatible with this module's own apart by
// words that only each of them has; the longer texts come first.
var licences = []struct{ name, words string }{
	{"Apache-2.0", "Apache License Version 2.0"},
	{"BSD-3-Clause", "Neither the name of"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce"},
	{"MIT", "Permission is hereby granted, free of charge"},
}

// TestLicences compares the licences of all modules that are built into what
// imports this one with those that the guide lists.
func TestLicences(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}",
		"./nspawn/...", "./netsetup/...", "./snapshot/...", "./archboot/...", "./stage/...", "./rigtest/...")
	list.Dir = top
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if module, dir, found := strings.Cut(strings.TrimSpace(line), " "); found {
			have[module] = licence(t, dir)
		}
	}
	page, err := os.ReadFile(filepath.Join(top, "doc", "licences.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) == 4 && strings.Contains(cells[1], "/") {
			listed[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	if diff := cmp.Diff(listed, have); diff != "" {
		t.Errorf("doc/licences.md is not what is built in (-listed +built in):\n%s", diff)
	}
}

func licence(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "LICENSE*"))
	if err != nil || len(files) == 0 {
		t.Errorf("no licence in %s: %v", dir, err)
		return ""
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Error(err)
		return ""
	}
	flat := strings.Join(strings.Fields(string(text)), " ")
	for _, l := range licences {
		if strings.Contains(flat, l.words) {
			return l.name
		}
	}
	return fmt.Sprintf("none that we know, see %s", filepath.Base(dir))
}
