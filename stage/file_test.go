package stage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestSweepFiles removes what killed writers left, also in a directory whose name
// looks like a pattern.
func TestSweepFiles(t *testing.T) {
	t.Parallel()
	dir := stateDir(filepath.Join(t.TempDir(), "state[1]"))
	left, kept := dir.path("machines", ".new-123"), dir.path("machines", "gw.json")
	err := errors.Join(os.MkdirAll(dir.path("machines"), 0o755), os.WriteFile(left, nil, 0o600), os.WriteFile(kept, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	dir.sweep()
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", left, err)
	}
	if _, err := os.Lstat(kept); err != nil {
		t.Error(err)
	}
}

// TestUnknownHolder: the lock's file is empty for a moment after the lock was taken.
func TestUnknownHolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := readHolder(f).String(); got != "another program" {
		t.Errorf("it is held by %s", got)
	}
}
