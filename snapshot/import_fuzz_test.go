package snapshot

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// FuzzImport reads streams that are wrong from the first byte.
func FuzzImport(f *testing.F) {
	// With one processor streams are decoded in step, and no two runs of an input differ.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f.Add(stream(f, goodManifest, root(), dir("tree/d"), file("tree/d/f"), symlink("tree/l", "d"), hardlink("tree/h", "tree/d/f")))
	f.Fuzz(func(t *testing.T, text []byte) { unpackSomewhere(t, text) })
}

// FuzzUnpack reads streams that are right in all but what they say to make.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 1, 1, 2, 2, 2}, false)
	f.Add([]byte{0, 1, 0, 5, 2, 3, 1, 9, 0}, true)
	f.Fuzz(func(t *testing.T, ops []byte, since bool) {
		names := []string{
			"tree/a", "tree/a/b", "tree/a/b/c", "tree/l", "tree/l/f", "tree/z", "tree/..", "tree/../f", "/etc", "f",
			"tree/a/../../f", "tree/l/../f", "tree/.", "tree", "../f", "tree/d", "tree/d/f", "tree//a",
		}
		targets := []string{"..", "/", "../..", "tree/a", "tree/d/f", "tree/l/f", "f", "tree/../f"}
		manifest := goodManifest
		if since {
			manifest = sinceManifest
		}
		entries := []tar.Header{root()}
		for ; len(ops) >= 3 && len(entries) < 50; ops = ops[3:] {
			name, target := names[int(ops[1])%len(names)], targets[int(ops[2])%len(targets)]
			entries = append(entries, []tar.Header{dir(name), file(name), symlink(name, target), hardlink(name, target), removed(name)}[ops[0]%5])
		}
		unpackSomewhere(t, stream(t, manifest, entries...))
	})
}

// unpackSomewhere fails if anything is made or changed outside of the tree.
func unpackSomewhere(t *testing.T, text []byte) {
	outside, err := os.MkdirTemp("/dev/shm", "") // in memory, where trees come and go quickly
	if err != nil {
		outside, err = os.MkdirTemp("", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(outside)
	inside := filepath.Join(outside, "tree")
	write(t, filepath.Join(inside, "d/f"), "in the parent")
	write(t, filepath.Join(outside, "f"), "precious")
	if err := os.Symlink("..", filepath.Join(inside, "l")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(outside, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Lstat(filepath.Join(outside, "f"))
	for _, name := range []string{"tree", "empty"} {
		d, err := os.Open(filepath.Join(outside, name))
		if err != nil {
			t.Fatal(err)
		}
		im := newImporter(t.Context(), ImportOptions{MaxBytes: 1 << 20, MaxEntries: 100, NoDevices: true})
		if im.begin(bytes.NewReader(text)) == nil {
			_ = im.all(d)
			im.end()
		}
		_ = d.Close()
	}
	after, err := os.Lstat(filepath.Join(outside, "f"))
	if err != nil || !after.ModTime().Equal(before.ModTime()) || after.Mode() != before.Mode() {
		t.Errorf("changed outside: %v, %v", after, err)
	}
	if left, err := os.ReadDir(outside); len(left) != 3 || err != nil {
		t.Errorf("written outside: %v, %v", left, err)
	}
}
