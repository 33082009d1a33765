package snapshottest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/snapshot"
)

func checkNames(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	take(t, v, "a", snapshot.Metadata{})
	for _, bad := range []string{"", ".", "..", "a/b", "../a", "/a", ".a", "-a", "a\x00", "a\n", "\xff", strings.Repeat("x", 256)} {
		_, err := s.Create(t.Context(), bad)
		is(t, err, snapshot.ErrInvalid)
		_, err = v.Snapshot(t.Context(), bad, snapshot.Metadata{})
		is(t, err, snapshot.ErrInvalid)
		is(t, v.Restore(t.Context(), bad), snapshot.ErrInvalid)
		is(t, v.DeleteSnapshot(t.Context(), bad), snapshot.ErrInvalid)
	}
	long := strings.Repeat("é", 127)
	w := create(t, s, long)
	take(t, w, long, snapshot.Metadata{})
	restore(t, w, long)
}

func checkNotFound(t *testing.T, s *snapshot.Store) {
	_, err := s.Volume("gw")
	is(t, err, snapshot.ErrNotFound)
	is(t, err, fs.ErrNotExist)
	v := create(t, s, "gw")
	_, err = v.Find(t.Context(), "a")
	is(t, err, snapshot.ErrNotFound)
	is(t, v.DeleteSnapshot(t.Context(), "a"), snapshot.ErrNotFound)
	is(t, v.RenameSnapshot(t.Context(), "a", "b"), snapshot.ErrNotFound)
	_, err = s.Clone(t.Context(), "web", snapshot.Snapshot{Volume: "gw", Name: "a"})
	is(t, err, snapshot.ErrNotFound)
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	is(t, v.Delete(t.Context()), snapshot.ErrNotFound)
	_, err = v.Snapshot(t.Context(), "a", snapshot.Metadata{})
	is(t, err, snapshot.ErrNotFound)
}

func checkExists(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	_, err := s.Create(t.Context(), "gw")
	is(t, err, snapshot.ErrExists)
	is(t, err, fs.ErrExist)
	take(t, v, "a", snapshot.Metadata{Key: "1"})
	_, err = v.Snapshot(t.Context(), "a", snapshot.Metadata{Key: "2"})
	is(t, err, snapshot.ErrExists)
	if snap, err := v.Find(t.Context(), "a"); err != nil || snap.Key != "1" {
		t.Errorf("the refused snapshot changed the old one: %+v, %v", snap, err)
	}
	stranger := filepath.Join(s.Dir(), "web")
	if err := os.Mkdir(stranger, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = s.Create(t.Context(), "web")
	is(t, err, snapshot.ErrExists)
	if err := os.Remove(stranger); err != nil {
		t.Errorf("the refused volume changed what was there: %v", err)
	}
}

func checkOrder(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	want := []string{"z", "m", "a", "q"}
	for _, name := range want {
		take(t, v, name, snapshot.Metadata{})
	}
	if err := v.DeleteSnapshot(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	take(t, v, "m", snapshot.Metadata{})
	same(t, []string{"z", "a", "q", "m"}, names(t, v))
	for _, name := range []string{"web", "db"} {
		create(t, s, name)
	}
	var volumes []string
	for w, err := range s.Volumes(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		volumes = append(volumes, w.Name())
	}
	same(t, []string{"db", "gw", "web"}, volumes)
}

func checkMetadata(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	labels := map[string]string{"stage": "nginx", "é\n": "\x00"}
	took := take(t, v, "a", snapshot.Metadata{Key: "k", Parent: "elsewhere", Labels: labels})
	found, err := v.Find(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, snap := range []snapshot.Snapshot{took, found} {
		if snap.Volume != "gw" || snap.Name != "a" || snap.Key != "k" || snap.Parent != "elsewhere" ||
			snap.Labels["stage"] != "nginx" || snap.Labels["é\n"] != "\x00" || snap.Created.IsZero() {
			t.Errorf("%+v", snap)
		}
	}
	if b := take(t, v, "b", snapshot.Metadata{}); b.Parent != "a" {
		t.Errorf("after a snapshot the parent of the next is %q", b.Parent)
	}
	restore(t, v, "a")
	if c := take(t, v, "c", snapshot.Metadata{}); c.Parent != "a" {
		t.Errorf("after a restoration the parent of the next is %q", c.Parent)
	}
}

func checkKeys(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	for _, name := range []string{"1", "2", "3"} {
		take(t, v, name, snapshot.Metadata{Key: "k" + name})
	}
	take(t, v, "4", snapshot.Metadata{Key: "k1"})
	take(t, v, "5", snapshot.Metadata{})
	if snap, err := v.FindKey(t.Context(), "k1"); err != nil || snap.Name != "4" {
		t.Errorf("the newest with k1 is %v, %v", snap.Name, err)
	}
	for _, key := range []string{"k", "k12", ""} {
		_, err := v.FindKey(t.Context(), key)
		is(t, err, snapshot.ErrNotFound)
	}
	var got []string
	for snap, err := range v.FindKeyPrefix(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, snap.Name)
	}
	same(t, []string{"1", "2", "3", "4"}, got)
}

func checkRename(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	create(t, s, "web")
	write(t, v, "f", "1")
	take(t, v, "a", snapshot.Metadata{})
	take(t, v, "b", snapshot.Metadata{})
	_, err := v.Rename(t.Context(), "web")
	is(t, err, snapshot.ErrExists)
	if v, err = v.Rename(t.Context(), "router"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("renamed volume has %q", got)
	}
	if _, err := os.Lstat(filepath.Join(s.Dir(), "gw")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("at the old path: %v", err)
	}
	is(t, v.RenameSnapshot(t.Context(), "a", "b"), snapshot.ErrExists)
	if err := v.RenameSnapshot(t.Context(), "a", "c"); err != nil {
		t.Fatal(err)
	}
	if b, err := v.Find(t.Context(), "b"); err != nil || b.Parent != "c" {
		t.Errorf("parent of b is %q, %v", b.Parent, err)
	}
	write(t, v, "f", "2")
	restore(t, v, "c")
	if got := read(t, v, "f"); got != "1" {
		t.Errorf("restored after renaming: %q", got)
	}
}
