package snapshottest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/prologin/rig/snapshot"
)

// checkExport: a stream is the same each time, makes the same tree, and is refused if
// a byte is missing or wrong.
func checkExport(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	want := Describe(t, v.Path())
	take(t, v, "a", snapshot.Metadata{Key: "k", Labels: map[string]string{"x": "y", "a": "b"}})
	var one, two bytes.Buffer
	digest, err := v.Export(t.Context(), "a", &one, snapshot.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := v.Export(t.Context(), "a", &two, snapshot.ExportOptions{}); err != nil || again != digest || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("exported again: %s, was %s, %v", again, digest, err)
	}
	w, snap, err := s.Import(t.Context(), "web", bytes.NewReader(one.Bytes()), snapshot.ImportOptions{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	same(t, want, Describe(t, w.Path()))
	same(t, want, view(t, w, "a"))
	if snap.Volume != "web" || snap.Name != "a" || snap.Key != "k" || snap.Labels["x"] != "y" {
		t.Errorf("imported as %+v", snap)
	}
	var three bytes.Buffer
	if again, err := w.Export(t.Context(), "a", &three, snapshot.ExportOptions{}); err != nil || again != digest || !bytes.Equal(one.Bytes(), three.Bytes()) {
		t.Errorf("exported from the copy: %s, was %s, %v", again, digest, err)
	}
	if b := take(t, w, "b", snapshot.Metadata{}); b.Parent != "a" {
		t.Errorf("after an import the parent of the next is %q", b.Parent)
	}
	before := paths(Describe(t, s.Dir()))
	for what, stream := range map[string][]byte{"cut": one.Bytes()[:one.Len()-1], "half": one.Bytes()[:one.Len()/2], "empty": nil} {
		_, _, err := s.Import(t.Context(), "new", bytes.NewReader(stream), snapshot.ImportOptions{})
		if !errors.Is(err, snapshot.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range 8 {
		checkFlipped(t, s, one.Bytes(), one.Len()*i/8, want)
	}
	for _, opts := range []snapshot.ImportOptions{{Digest: "00"}, {MaxBytes: 1 << 20}, {MaxEntries: 5}, {NoDevices: true}} {
		_, _, err := s.Import(t.Context(), "new", bytes.NewReader(one.Bytes()), opts)
		is(t, err, snapshot.ErrCorrupt)
	}
	_, _, err = s.Import(t.Context(), "web", bytes.NewReader(one.Bytes()), snapshot.ImportOptions{})
	is(t, err, snapshot.ErrExists)
	same(t, before, paths(Describe(t, s.Dir())))
}

// checkFlipped: one bit is wrong. If the stream unpacks to the same nevertheless, as some
// bits of a compressed one do, that is what it must make.
func checkFlipped(t *testing.T, s *snapshot.Store, stream []byte, at int, want []string) {
	t.Helper()
	flipped := bytes.Clone(stream)
	flipped[at] ^= 1
	v, _, err := s.Import(t.Context(), "new", bytes.NewReader(flipped), snapshot.ImportOptions{})
	if err != nil {
		// ErrNotSupported: the bit made an attribute that no file system knows.
		if !errors.Is(err, snapshot.ErrCorrupt) && !errors.Is(err, snapshot.ErrFormat) && !errors.Is(err, snapshot.ErrNotSupported) {
			t.Errorf("flipped at %d: %v", at, err)
		}
		return
	}
	same(t, want, Describe(t, v.Path()))
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}
