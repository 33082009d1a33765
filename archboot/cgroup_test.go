package archboot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSweepCgroups removes what a killed process left in a control group whose name
// looks like a pattern, as the escaped one of a unit does, and leaves what is in use.
func TestSweepCgroups(t *testing.T) {
	t.Parallel()
	own, err := ownCgroup()
	if err != nil {
		t.Skip(err)
	}
	parent, err := os.MkdirTemp(own, `archboot\x2dtest[1].`)
	if err != nil {
		t.Skip("no control groups are to be had: ", err)
	}
	names := []string{strings.Repeat("A", 12), strings.Repeat("B", 12), "OTHERS"}
	for i, name := range names {
		names[i] = filepath.Join(parent, cgroupPrefix+name)
		if err := os.Mkdir(names[i], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	used, err := lockCgroup(names[1])
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, name := range append(names, parent) {
			_ = os.Remove(name)
		}
		if exists(parent) {
			t.Errorf("%s is left", parent)
		}
	}()
	defer used.dir.Close()
	sweepCgroups(parent)
	for i, name := range names {
		if want := i > 0; exists(name) != want {
			t.Errorf("%s is there: %v, want %v", name, !want, want)
		}
	}
}
