package snapshot_test

import (
	"errors"
	"os"
	"testing"

	"github.com/prologin/rig/snapshot"
)

func TestDestroyLeavesNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot open a store")
	}
	dir := t.TempDir()
	s, err := snapshot.Open(t.Context(), dir, snapshot.Options{Driver: snapshot.Copy()})
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Create(t.Context(), "gw")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Destroy(t.Context()); !errors.Is(err, snapshot.ErrBusy) {
		t.Fatalf("Destroy of a store with a volume: %v, want ErrBusy", err)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}
