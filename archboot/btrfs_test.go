package archboot

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSnapshotOfDirectory: no kernel is asked, since older ones would take the subvolume
// around it.
func TestSnapshotOfDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := snapshot(dir, target); !errors.Is(err, unix.EINVAL) {
		t.Errorf("snapshot of a directory: %v, want EINVAL", err)
	}
	if exists(target) {
		t.Error("target was made")
	}
}
