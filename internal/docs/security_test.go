package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`([a-z/]+)\\.((?:[tT]est|Fuzz)[A-Za-z]+)`")

// TestSecurity looks for the tests that the table of threats names, in each row.
func TestSecurity(t *testing.T) {
	t.Parallel()
	rows := 0
	for line := range strings.Lines(section(t, "security.md", "## Against whom")) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[4], "`") {
			if len(cells) == 6 && rows > 0 {
				t.Errorf("no test in %s", line)
			}
			continue
		}
		rows++
		named := testName.FindAllStringSubmatch(cells[4], -1)
		if len(named) != strings.Count(cells[4], "`")/2 {
			t.Errorf("not all of these are names of tests: %s", cells[4])
		}
		for _, match := range named {
			if !declares(t, match[1], "func "+match[2]+"(") {
				t.Errorf("no test %s in %s", match[2], match[1])
			}
		}
	}
	if rows == 0 {
		t.Error("no row in the table of threats")
	}
}

// declares reports whether a source file in a package's directory contains text.
func declares(t *testing.T, pkg, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), text) {
			return true
		}
	}
	return false
}
