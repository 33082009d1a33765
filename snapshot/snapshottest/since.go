package snapshottest

import (
	"bytes"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/snapshot"
)

// checkExportSince: the parent and the difference make the same tree as the whole.
func checkExportSince(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	take(t, v, "a", snapshot.Metadata{})
	changeAll(t, v)
	want := Describe(t, v.Path())
	b := take(t, v, "b", snapshot.Metadata{Key: "k"})
	var parent, since, whole bytes.Buffer
	if _, err := v.Export(t.Context(), "a", &parent, snapshot.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	digest, err := v.Export(t.Context(), "b", &since, snapshot.ExportOptions{Since: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := v.Export(t.Context(), "b", new(bytes.Buffer), snapshot.ExportOptions{Since: "a"}); err != nil || again != digest {
		t.Errorf("exported again: %s, was %s, %v", again, digest, err)
	}
	_, _, err = s.Import(t.Context(), "web", bytes.NewReader(since.Bytes()), snapshot.ImportOptions{})
	is(t, err, snapshot.ErrNotFound)
	w, a, err := s.Import(t.Context(), "web", &parent, snapshot.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Import(t.Context(), bytes.NewReader(since.Bytes()[:since.Len()-1]), snapshot.ImportOptions{})
	is(t, err, snapshot.ErrCorrupt)
	same(t, []string{"a"}, names(t, w))
	got, err := w.Import(t.Context(), bytes.NewReader(since.Bytes()), snapshot.ImportOptions{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "b" || got.Key != "k" || got.ID != b.ID || a.ID == b.ID {
		t.Errorf("imported as %+v", got)
	}
	same(t, want, view(t, w, "b"))
	same(t, view(t, v, "a"), Describe(t, w.Path())) // which was left as it was
	full, err := v.Export(t.Context(), "b", &whole, snapshot.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.Export(t.Context(), "b", new(bytes.Buffer), snapshot.ExportOptions{}); err != nil || again != full {
		t.Errorf("whole export of the copy: %s, of the original %s, %v", again, full, err)
	}
	_, err = w.Import(t.Context(), bytes.NewReader(since.Bytes()), snapshot.ImportOptions{})
	is(t, err, snapshot.ErrExists)
	restore(t, w, "b")
	same(t, want, Describe(t, w.Path()))
	_, err = v.Export(t.Context(), "b", new(bytes.Buffer), snapshot.ExportOptions{Since: "missing"})
	is(t, err, snapshot.ErrNotFound)
}

// changeAll does to what Furnish made whatever can be done to it, but that it leaves
// files alone which had several names before: overlayfs makes several files of them.
func changeAll(t *testing.T, v *snapshot.Volume) {
	t.Helper()
	f := furnisher{t, v.Path()}
	f.file("new/file", "1", 0o600)
	f.file("empty", "not any more", 0o600)
	f.must(os.Remove(f.at("pipe")))
	f.file("pipe/in a directory", "x", 0o644)
	f.must(os.RemoveAll(f.at("var")))
	f.file("var", "a file", 0o644)
	f.must(os.Rename(f.at("dir/sub"), f.at("moved")))
	f.must(os.Link(f.at("moved/deep"), f.at("deep")))
	f.must(os.Remove(f.at("link")))
	f.must(os.Symlink("elsewhere", f.at("link")))
	f.must(unix.Chmod(f.at("null"), 0o600))
	f.must(os.Chtimes(f.at("sparse"), time.Unix(1, 2), time.Unix(3, 4)))
	for file, attribute := range map[string]string{"dir": "user.large", "setuid": "security.capability"} {
		err := unix.Lremovexattr(f.at(file), attribute)
		if err != nil && err != unix.EOPNOTSUPP && err != unix.ENODATA {
			t.Fatal(err)
		}
	}
}
