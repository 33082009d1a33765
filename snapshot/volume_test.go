package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLife(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	file := filepath.Join(v.Path(), "etc/hostname")
	write(t, file, "one")
	first := take(t, v, "first", Metadata{Key: "k1", Labels: map[string]string{"a": "b"}})
	write(t, file, "two")
	write(t, filepath.Join(v.Path(), "more"), "")
	second := take(t, v, "second", Metadata{Key: "k2"})
	if second.Parent != "first" {
		t.Errorf("parent of second is %q", second.Parent)
	}
	got, err := v.Find(t.Context(), "first")
	if err != nil || !cmp.Equal(got, first, cmp.AllowUnexported(Snapshot{})) {
		t.Errorf("found %+v, %v; want %+v", got, err, first)
	}
	if err := v.Restore(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"etc", "etc/hostname=one"}, tree(t, v.Path())); diff != "" {
		t.Error(diff)
	}
	write(t, file, "three")
	if third := take(t, v, "third", Metadata{}); third.Parent != "first" {
		t.Errorf("parent of third is %q", third.Parent)
	}
	if diff := cmp.Diff([]string{"first", "second", "third"}, names(t, v)); diff != "" {
		t.Error(diff)
	}
	if err := v.DeleteSnapshot(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if err := v.Restore(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"etc", "etc/hostname=two", "more="}, tree(t, v.Path())); diff != "" {
		t.Error(diff)
	}
	noLeftovers(t, s)
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	noLeftovers(t, s)
	if list := subvolumes(t, s.Dir()); list != "" {
		t.Errorf("subvolumes left: %s", list)
	}
}

func names(t testing.TB, v *Volume) []string {
	t.Helper()
	var list []string
	for s, err := range v.Snapshots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s.Name)
	}
	return list
}

func TestSnapshotIsReadOnly(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	write(t, filepath.Join(v.Path(), "f"), "")
	take(t, v, "a", Metadata{})
	err := os.WriteFile(filepath.Join(v.frozen("a"), "f"), nil, 0o644)
	if !errors.Is(classify(err), ErrReadOnly) {
		t.Errorf("writing to a snapshot: %v", err)
	}
}

func TestClone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	base := newVolume(t, s, "base")
	write(t, filepath.Join(base.Path(), "f"), "base")
	snap := take(t, base, "built", Metadata{})
	v, err := s.Clone(t.Context(), "gw", snap)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.Path(), "f"), "gw")
	if diff := cmp.Diff([]string{"f=base"}, tree(t, base.Path())); diff != "" {
		t.Error(diff)
	}
	if err := base.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f=gw"}, tree(t, v.Path())); diff != "" {
		t.Error(diff)
	}
	_, err = s.Clone(t.Context(), "web", snap)
	wantErr(t, err, ErrNotFound)
	noLeftovers(t, s)
}

func TestRename(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "old")
	newVolume(t, s, "other")
	write(t, filepath.Join(v.Path(), "f"), "x")
	take(t, v, "a", Metadata{})
	take(t, v, "b", Metadata{})
	_, err := v.Rename(t.Context(), "other")
	wantErr(t, err, ErrExists)
	v, err = v.Rename(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f=x"}, tree(t, filepath.Join(s.Dir(), "new"))); diff != "" {
		t.Error(diff)
	}
	_, err = s.Volume("old")
	wantErr(t, err, ErrNotFound)
	wantErr(t, v.RenameSnapshot(t.Context(), "a", "b"), ErrExists)
	if err := v.RenameSnapshot(t.Context(), "a", "z"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"z", "b"}, names(t, v)); diff != "" {
		t.Error(diff)
	}
	b, err := v.Find(t.Context(), "b")
	if err != nil || b.Parent != "z" {
		t.Errorf("parent of b is %q, %v", b.Parent, err)
	}
	noLeftovers(t, s)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	v := newVolume(t, newStore(t), "gw")
	for _, n := range []string{"a", "b", "c"} {
		take(t, v, n, Metadata{Key: "key-" + n[:1]})
	}
	take(t, v, "again", Metadata{Key: "key-a"})
	got, err := v.FindKey(t.Context(), "key-a")
	if err != nil || got.Name != "again" {
		t.Errorf("FindKey: %v, %v", got.Name, err)
	}
	_, err = v.FindKey(t.Context(), "key")
	wantErr(t, err, ErrNotFound)
	_, err = v.FindKey(t.Context(), "")
	wantErr(t, err, ErrNotFound)
	n := 0
	for _, err := range v.FindKeyPrefix(t.Context(), "key-") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d keys with the prefix, want 4", n)
	}
}

// TestNested: what systemd does in a machine's tree, and worse.
func TestNested(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	for _, sub := range []string{"var/lib/machines", "var/lib/machines/inner", "top"} {
		path := filepath.Join(v.Path(), sub)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := createSubvolume(path); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(path, "f"), sub)
	}
	want := tree(t, v.Path())
	before, err := os.Stat(filepath.Join(v.Path(), "var/lib"))
	if err != nil {
		t.Fatal(err)
	}
	take(t, v, "a", Metadata{})
	if diff := cmp.Diff(want, tree(t, v.frozen("a"))); diff != "" {
		t.Errorf("snapshot: %s", diff)
	}
	after, err := os.Stat(filepath.Join(v.frozen("a"), "var/lib"))
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("directory changed from %v to %v, %v", before.ModTime(), after.ModTime(), err)
	}
	for _, sub := range []string{"", "var/lib/machines", "var/lib/machines/inner", "top"} {
		if !readOnly(t, filepath.Join(v.frozen("a"), sub)) {
			t.Errorf("%q in the snapshot is writable", sub)
		}
	}
	if err := os.RemoveAll(filepath.Join(v.Path(), "var")); err != nil {
		t.Fatal(err)
	}
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, tree(t, v.Path())); diff != "" {
		t.Errorf("restored: %s", diff)
	}
	write(t, filepath.Join(v.Path(), "var/lib/machines/inner/g"), "writable again")
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := subvolumes(t, s.Dir()); list != "" {
		t.Errorf("subvolumes left: %s", list)
	}
}

// TestManyNested: more than one answer of the kernel holds.
func TestManyNested(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	const n = 300
	for i := range n {
		if err := createSubvolume(filepath.Join(v.Path(), strings.Repeat("x", i%200+1)+string(rune('a'+i/200)))); err != nil {
			t.Fatal(err)
		}
	}
	f, err := openSubvolume(v.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := nestedIn(f)
	if err != nil || len(list) != n {
		t.Fatalf("found %d of %d nested subvolumes, %v", len(list), n, err)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := subvolumes(t, s.Dir()); list != "" {
		t.Errorf("subvolumes left: %s", list)
	}
}
