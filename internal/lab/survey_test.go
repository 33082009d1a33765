package lab

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSurveyMounts: a mount is found and removed whatever its name, which the kernel's table
// does not have as it is.
func TestSurveyMounts(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot mount")
	}
	l := &Lab{Options: Options{State: filepath.Join(t.TempDir(), "a lab's")}}
	want := filepath.Join(l.State, "machines", "one two")
	if err := os.MkdirAll(want, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", want, "tmpfs", 0, ""); err != nil {
		t.Skip(err)
	}
	defer unix.Unmount(want, unix.MNT_DETACH)
	items, err := l.surveyMounts(t.Context())
	if err != nil || len(items) != 1 || items[0].Name != want {
		t.Fatalf("found %v, %v; want %s", items, err, want)
	}
	if err := items[0].remove(t.Context()); err != nil {
		t.Error(err)
	}
	if items, err := l.surveyMounts(t.Context()); err != nil || items != nil {
		t.Errorf("left: %v, %v", items, err)
	}
}

// TestEachTellsOfAll: of several machines that fail, none is passed over.
func TestEachTellsOfAll(t *testing.T) {
	t.Parallel()
	l := &Lab{Config: Config{Machines: []Machine{{Name: "one"}, {Name: "two", Boots: &Tree{Machine: "one"}}, {Name: "three"}}}}
	err := l.each(func(m *machine) error { return errors.New(m.Name) })
	if err == nil || err.Error() != "one\ntwo\nthree" {
		t.Errorf("error %q", err)
	}
}
