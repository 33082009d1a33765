package nspawntest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prologin/rig/nspawn"
)

var scratchName = regexp.MustCompile(`/nspawn-temp-\w+`)

// testScratch kills a machine for whose binds and overlays nspawn has made directories
// of its own on the host.
func testScratch(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{
		Name:     s.name("scratch"),
		Binds:    []nspawn.Bind{{Target: "/scratch"}},
		Overlays: []nspawn.Overlay{{Layers: []string{t.TempDir(), ""}, Target: "/mnt"}},
	})
	shell(t, m, "echo one >/scratch/file; echo two >/mnt/file")
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", m.Leader()))
	if err != nil {
		t.Fatal(err)
	}
	names := scratchName.FindAllString(string(mounts), -1)
	slices.Sort(names)
	if names = slices.Compact(names); len(names) != 2 {
		t.Fatalf("directories of nspawn: %q in\n%s", names, mounts)
	}
	if err := m.Kill(testContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := os.Lstat("/var/tmp" + name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("/var/tmp%s is left: %v", name, err)
		}
	}
}
