// Package testmod makes modules of others that require this one, for tests that build
// them without a network.
package testmod

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var notTheirs = regexp.MustCompile(`(?m)^(module|tool) .*$`)

// New makes an empty module of that name which requires this one from the directory top,
// and returns its directory. What this one requires is in its go.mod, too, as go mod tidy
// would leave it: with less, the go command looks for modules that nothing here needs.
func New(t *testing.T, top, name string) string {
	t.Helper()
	top, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile(filepath.Join(top, "go.mod"))
	sums, sumsErr := os.ReadFile(filepath.Join(top, "go.sum"))
	if err := errors.Join(err, sumsErr); err != nil {
		t.Fatal(err)
	}
	module := "module " + name + "\n" + string(notTheirs.ReplaceAll(ours, nil)) +
		"\nrequire github.com/prologin/rig v0.0.0\n\nreplace github.com/prologin/rig => " + top + "\n"
	dir := t.TempDir()
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o644),
		os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
