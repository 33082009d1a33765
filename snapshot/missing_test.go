package snapshot

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlainDirectory: somebody moved the tree away and copied it back. Deleting it
// must not reach for the subvolumes of the store around it.
func TestPlainDirectory(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v, other := newVolume(t, s, "gw"), newVolume(t, s, "other")
	write(t, filepath.Join(v.Path(), "f"), "1")
	write(t, filepath.Join(other.Path(), "f"), "2")
	take(t, v, "a", Metadata{})
	if err := destroyTree(t, v.Path()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.Path(), "f"), "copied")
	_, err := v.Snapshot(t.Context(), "b", Metadata{})
	wantErr(t, err, ErrInvalid)
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f=1"}, tree(t, v.Path())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"f=2"}, tree(t, other.Path())); diff != "" {
		t.Error(diff)
	}
	noLeftovers(t, s)
}

func destroyTree(t *testing.T, path string) error {
	return Btrfs().Remove(t.Context(), path)
}

// TestMissingTree: somebody removed the tree. The snapshots are what is left.
func TestMissingTree(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	write(t, filepath.Join(v.Path(), "f"), "1")
	take(t, v, "a", Metadata{})
	if err := destroyTree(t, v.Path()); err != nil {
		t.Fatal(err)
	}
	_, err := v.Snapshot(t.Context(), "b", Metadata{})
	wantErr(t, err, fs.ErrNotExist)
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f=1"}, tree(t, v.Path())); diff != "" {
		t.Error(diff)
	}
	if err := destroyTree(t, v.Path()); err != nil {
		t.Fatal(err)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	noLeftovers(t, s)
}
