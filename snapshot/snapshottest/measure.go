package snapshottest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/snapshot"
)

func checkDiff(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	Furnish(t, v.Path())
	take(t, v, "a", snapshot.Metadata{})
	at := func(name string) string { return filepath.Join(v.Path(), name) }
	same(t, nil, diff(t, v, "a", ""))
	write(t, v, "new/file", "1")
	write(t, v, "empty", "not any more")
	write(t, v, "dir/sub/deep", strings.Repeat("0123456789abcdeF", 1<<14)) // of the same size
	for _, err := range []error{
		os.Remove(at("pipe")),
		os.Mkdir(at("pipe"), 0o755),
		os.RemoveAll(at("var")),
		os.Chmod(at("socket"), 0o700),
		os.Chmod(at("dir"), 0o700),
		os.Remove(at("link")),
		os.Symlink("elsewhere", at("link")),
		os.Chtimes(at("sparse"), time.Now(), time.Now()), // no change
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	take(t, v, "b", snapshot.Metadata{})
	want := []string{
		"attributes dir", "content dir/sub/deep", "content empty", "content link", "added new", "added new/file",
		"removed pipe", "added pipe", "attributes socket", "removed var", "removed var/lib", "removed var/lib/empty",
	}
	same(t, want, diff(t, v, "a", "b"))
	same(t, want, diff(t, v, "a", ""))
	same(t, nil, diff(t, v, "b", "b"))
	restore(t, v, "a")
	same(t, nil, diff(t, v, "a", ""))
	if got := diff(t, v, "b", "a"); len(got) != len(want) {
		t.Errorf("back: %v", got)
	}
	for _, err := range v.Diff(t.Context(), "a", "missing") {
		is(t, err, snapshot.ErrNotFound)
	}
}

func diff(t *testing.T, v *snapshot.Volume, from, to string) []string {
	t.Helper()
	var list []string
	for c, err := range v.Diff(t.Context(), from, to) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(c.Kind)+" "+c.Path)
	}
	return list
}

func checkSize(t *testing.T, s *snapshot.Store) {
	v := create(t, s, "gw")
	const mib = 1 << 20
	text := strings.Repeat("0123456789abcdef", mib/16)
	write(t, v, "sub/f", text)
	if err := os.Link(filepath.Join(v.Path(), "sub/f"), filepath.Join(v.Path(), "g")); err != nil {
		t.Fatal(err)
	}
	take(t, v, "a", snapshot.Metadata{})
	for _, name := range []string{"", "a"} {
		size, err := v.Size(t.Context(), name)
		if err != nil || size.Entries != 2 || size.Referenced < mib || size.Referenced > 2*mib {
			t.Errorf("size of %q is %+v, %v", name, size, err)
		}
	}
	_, err := v.Size(t.Context(), "missing")
	is(t, err, snapshot.ErrNotFound)
	write(t, v, "h", text+text)
	known := s.Driver().Capabilities()
	for _, name := range []string{"", "a"} { // 3 and 1 MiB, of which 2 and none are not shared
		size, err := v.Size(t.Context(), name)
		want := map[string]int64{"": 2 * mib, "a": 0}[name]
		near := func(want int64) bool { return want <= size.Exclusive && size.Exclusive < want+mib/2 }
		switch {
		case err != nil:
			t.Error(err)
		case !known.Exclusive && size.Exclusive == -1, known.Exclusive && near(want):
		case known.Exclusive && !known.Shared && near(want+mib):
		default:
			t.Errorf("exclusive size of %q is %d, want %d, %v", name, size.Exclusive, want, err)
		}
	}
}
