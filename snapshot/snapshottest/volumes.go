package snapshottest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/snapshot"
)

func checkEmpty(t *testing.T, s *snapshot.Store) {
	for v, err := range s.Volumes(t.Context()) {
		t.Errorf("a new store has %v, %v", v, err)
	}
	v := create(t, s, "gw")
	if want := filepath.Join(s.Dir(), "gw"); v.Path() != want || v.Name() != "gw" {
		t.Errorf("volume %q is at %q, want %q", v.Name(), v.Path(), want)
	}
	same(t, nil, Describe(t, v.Path()))
	take(t, v, "empty", snapshot.Metadata{})
	write(t, v, "f", "1")
	restore(t, v, "empty")
	same(t, nil, Describe(t, v.Path()))
}

func checkFidelity(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	want := Describe(t, v.Path())
	snap := take(t, v, "a", snapshot.Metadata{})
	same(t, want, Describe(t, v.Path()))
	same(t, want, view(t, v, "a"))
	empty(t, v)
	restore(t, v, "a")
	same(t, want, Describe(t, v.Path()))
	w, err := s.Clone(t.Context(), "web", snap)
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, Describe(t, w.Path()))
}

// checkFrozen: what happens to the volume does not happen to the snapshot.
func checkFrozen(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	want := Describe(t, v.Path())
	take(t, v, "a", snapshot.Metadata{})
	write(t, v, "file", "changed in place")
	if err := os.Chmod(filepath.Join(v.Path(), "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(v.Path(), "link")); err != nil {
		t.Fatal(err)
	}
	same(t, want, view(t, v, "a"))
}

// checkRestoreAll: one can go back and forth between all snapshots.
func checkRestoreAll(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	want := map[string][]string{}
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		write(t, v, "same", name)
		write(t, v, "only-"+name, name)
		if name == "c" {
			if err := os.RemoveAll(filepath.Join(v.Path(), "only-a")); err != nil {
				t.Fatal(err)
			}
		}
		take(t, v, name, snapshot.Metadata{})
		want[name] = Describe(t, v.Path())
	}
	for _, name := range []string{"a", "d", "b", "c", "a"} {
		restore(t, v, name)
		same(t, want[name], Describe(t, v.Path()))
	}
	for _, name := range names {
		same(t, want[name], view(t, v, name))
	}
}

func checkRestoreTwice(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "f", "1")
	take(t, v, "a", snapshot.Metadata{})
	want := Describe(t, v.Path())
	for range 3 {
		write(t, v, "f", "2")
		write(t, v, "g", "2")
		restore(t, v, "a")
		same(t, want, Describe(t, v.Path()))
	}
}

func checkRestoreMissing(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	write(t, v, "f", "1")
	want := Describe(t, v.Path())
	is(t, v.Restore(t.Context(), "a"), snapshot.ErrNotFound)
	same(t, want, Describe(t, v.Path()))
}

// checkIndependence: volumes do not see each other.
func checkIndependence(t *testing.T, s *snapshot.Store) {
	v, w := create(t, s, "gw"), create(t, s, "web")
	write(t, v, "f", "gw")
	write(t, w, "f", "web")
	take(t, v, "a", snapshot.Metadata{})
	take(t, w, "a", snapshot.Metadata{})
	write(t, w, "f", "web again")
	restore(t, v, "a")
	if got := read(t, w, "f"); got != "web again" {
		t.Errorf("restoring gw made %q of web's file", got)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	restore(t, w, "a")
	if got := read(t, w, "f"); got != "web" {
		t.Errorf("after deleting gw web's file is %q", got)
	}
}

// checkDeleteParent: what was built upon a snapshot does not need it.
func checkDeleteParent(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	for _, name := range []string{"a", "b", "c"} {
		write(t, v, name, name)
		take(t, v, name, snapshot.Metadata{})
	}
	want := Describe(t, v.Path())
	for _, name := range []string{"b", "a"} {
		if err := v.DeleteSnapshot(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	same(t, want, Describe(t, v.Path()))
	empty(t, v)
	restore(t, v, "c")
	same(t, want, Describe(t, v.Path()))
}

func checkClone(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "base")
	write(t, v, "f", "1")
	snap := take(t, v, "a", snapshot.Metadata{})
	w, err := s.Clone(t.Context(), "gw", snap)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, "f", "2")
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("writing to the clone made %q of the original", got)
	}
	if list := names(t, w); len(list) != 0 {
		t.Errorf("the clone has snapshots %v", list)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, w, "f"); got != "2" {
		t.Errorf("deleting the original made %q of the clone", got)
	}
	take(t, w, "a", snapshot.Metadata{})
	write(t, w, "f", "3")
	restore(t, w, "a")
	if got := read(t, w, "f"); got != "2" {
		t.Errorf("restored clone has %q", got)
	}
}

func checkCloneOfClone(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "v0")
	for i, name := range []string{"v1", "v2", "v3"} {
		write(t, v, name, strings.Repeat("x", i))
		snap := take(t, v, "s", snapshot.Metadata{})
		var err error
		if v, err = s.Clone(t.Context(), name, snap); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"v1", "v2", "v3"} {
		if _, err := os.Stat(filepath.Join(v.Path(), name)); err != nil {
			t.Error(err)
		}
	}
}

// checkMany: more snapshots than any stack of layers can have.
func checkMany(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	const n = 40
	for i := range n {
		write(t, v, "last", strings.Repeat("x", i))
		write(t, v, "f"+strings.Repeat("x", i), "")
		take(t, v, "s"+strings.Repeat("x", i), snapshot.Metadata{})
	}
	if got := len(Describe(t, v.Path())); got != n+1 {
		t.Errorf("%d files, want %d", got, n+1)
	}
	restore(t, v, "s"+strings.Repeat("x", n/2))
	if got := len(read(t, v, "last")); got != n/2 {
		t.Errorf("restored number %d, want %d", got, n/2)
	}
	if got := len(Describe(t, v.Path())); got != n/2+2 {
		t.Errorf("%d files, want %d", got, n/2+2)
	}
}

// checkNothingLeft: when all volumes are deleted the store is as new.
func checkNothingLeft(t *testing.T, s *snapshot.Store) {
	before := Describe(t, s.Dir())
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	snap := take(t, v, "a", snapshot.Metadata{})
	w, err := s.Clone(t.Context(), "web", snap)
	if err != nil {
		t.Fatal(err)
	}
	take(t, w, "b", snapshot.Metadata{})
	restore(t, v, "a")
	for _, v := range []*snapshot.Volume{v, w} {
		if err := v.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	same(t, paths(before), paths(Describe(t, s.Dir())))
}
