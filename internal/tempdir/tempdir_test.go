package tempdir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	alive, err := Make("rig-test-")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := Make("rig-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := unlock(dead.owner); err != nil { // as its death would
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(os.TempDir(), name) }
	err = errors.Join(os.WriteFile(filepath.Join(dead.Path, "file"), nil, 0o600),
		os.Mkdir(in("other"), 0o700), os.WriteFile(in("rig-test-file"), nil, 0o600), os.Symlink(in("other"), in("rig-test-link")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Base(alive.Path), "other", "rig-test-file", "rig-test-link"}
	if os.Geteuid() == 0 {
		want = append(want, "rig-test-foreign")
		if err := errors.Join(os.Mkdir(in("rig-test-foreign"), 0o700), os.Chown(in("rig-test-foreign"), 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	var swept []string
	err = Sweep("rig-test-", func(path string) error {
		swept = append(swept, path)
		return os.RemoveAll(path)
	})
	if err != nil || !slices.Equal(swept, []string{dead.Path}) {
		t.Errorf("swept %q, %v; want %s", swept, err, dead.Path)
	}
	if err := alive.Remove(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) != len(want)-1 {
		t.Errorf("left: %v, %v; want %q", left, err, want[1:])
	}
}
