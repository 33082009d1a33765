package snapshot

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// stream makes a well-formed stream, digest and all, of whatever entries.
func stream(t testing.TB, manifest string, entries ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w, sum := tar.NewWriter(z), sha256.New()
	add := func(h tar.Header, text string) {
		h.Format, h.ModTime, h.Size = tar.FormatPAX, time.Unix(1, 0), int64(len(text))
		sumHeader(sum, &h)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(io.MultiWriter(w, sum), text); err != nil {
			t.Fatal(err)
		}
	}
	add(tar.Header{Name: manifestEntry, Typeflag: tar.TypeReg}, manifest)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text = "text"
		}
		add(h, text)
	}
	add(tar.Header{Name: digestEntry, Typeflag: tar.TypeReg}, hex.EncodeToString(sum.Sum(nil)))
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const goodManifest = `{"Format":1,"Name":"a"}`

func root() tar.Header            { return tar.Header{Name: "tree/", Typeflag: tar.TypeDir, Mode: 0o755} }
func dir(name string) tar.Header  { return tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755} }
func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}
}
func hardlink(name, to string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to}
}

// TestImportHostile: nothing is written outside the tree, and nothing is left.
func TestImportHostile(t *testing.T) {
	t.Parallel()
	needRoot(t)
	outside := t.TempDir()
	s := openStore(t, t.TempDir(), Options{Driver: Copy()})
	if v, _, err := s.Import(t.Context(), "good", bytes.NewReader(stream(t, goodManifest, root(), file("tree/f"))), ImportOptions{}); err != nil {
		t.Fatal(err)
	} else if diff := cmp.Diff([]string{"f=text"}, tree(t, v.Path())); diff != "" {
		t.Fatal(diff)
	}
	before := describe(t, s)
	for name, text := range map[string][]byte{
		"no tree":              stream(t, goodManifest),
		"no root":              stream(t, goodManifest, file("tree/f")),
		"root a file":          stream(t, goodManifest, file("tree")),
		"two roots":            stream(t, goodManifest, root(), root()),
		"dot dot":              stream(t, goodManifest, root(), file("tree/../f")),
		"only dot dot":         stream(t, goodManifest, root(), dir("tree/..")),
		"dot":                  stream(t, goodManifest, root(), dir("tree/.")),
		"empty name":           stream(t, goodManifest, root(), dir("tree//")),
		"absolute":             stream(t, goodManifest, root(), file(outside+"/f")),
		"beside the tree":      stream(t, goodManifest, root(), file("other/f")),
		"through a link":       stream(t, goodManifest, root(), symlink("tree/l", outside), file("tree/l/f")),
		"dir over a link":      stream(t, goodManifest, root(), symlink("tree/l", outside), dir("tree/l"), file("tree/l/f")),
		"file over a link":     stream(t, goodManifest, root(), symlink("tree/l", outside+"/f"), file("tree/l")),
		"twice":                stream(t, goodManifest, root(), file("tree/f"), file("tree/f")),
		"back in":              stream(t, goodManifest, root(), dir("tree/d"), file("tree/e"), file("tree/d/f")),
		"hard link outside":    stream(t, goodManifest, root(), hardlink("tree/h", "/etc/passwd")),
		"hard link dot dot":    stream(t, goodManifest, root(), hardlink("tree/h", "tree/../../../x")),
		"hard link via link":   stream(t, goodManifest, root(), symlink("tree/l", "/etc"), hardlink("tree/h", "tree/l/passwd")),
		"hard link to nothing": stream(t, goodManifest, root(), hardlink("tree/h", "tree/nothing")),
		"hard link to a dir":   stream(t, goodManifest, root(), dir("tree/d"), hardlink("tree/h", "tree/d")),
		"odd type":             stream(t, goodManifest, root(), tar.Header{Name: "tree/x", Typeflag: tar.TypeCont}),
		"bad snapshot name":    stream(t, `{"Format":1,"Name":"../a"}`, root()),
		"no manifest":          stream(t, `[]`, root()),
		"not zstd":             []byte("hello, this is not a stream at all"),
		"long name":            stream(t, goodManifest, root(), file("tree/"+strings.Repeat("x", 256))),
	} {
		_, _, err := s.Import(t.Context(), "evil", bytes.NewReader(text), ImportOptions{})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, err := s.Import(t.Context(), "new", bytes.NewReader(stream(t, `{"Format":3,"Name":"a"}`, root())), ImportOptions{})
	wantErr(t, err, ErrFormat)
	if diff := cmp.Diff(before, describe(t, s)); diff != "" {
		t.Error(diff)
	}
	noLeftovers(t, s)
	if left, err := os.ReadDir(outside); len(left) > 0 || err != nil {
		t.Errorf("written outside: %v, %v", left, err)
	}
}

// TestImportBomb: a small stream of many zeros.
func TestImportBomb(t *testing.T) {
	t.Parallel()
	needRoot(t)
	s := openStore(t, newTmpfs(t), Options{Driver: Copy()})
	v := newVolume(t, s, "gw")
	write(t, filepath.Join(v.Path(), "big"), "")
	if err := os.Truncate(filepath.Join(v.Path(), "big"), 1<<30); err != nil {
		t.Fatal(err)
	}
	take(t, v, "a", Metadata{})
	var out bytes.Buffer
	if _, err := v.Export(t.Context(), "a", &out, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 1<<20 {
		t.Errorf("1 GiB of zeros takes %d bytes", out.Len())
	}
	_, _, err := s.Import(t.Context(), "new", bytes.NewReader(out.Bytes()), ImportOptions{MaxBytes: 1 << 24})
	wantErr(t, err, ErrCorrupt)
	noLeftovers(t, s)
}

// TestImportSparse: what a tar says to be a hole is not in the stream, and so not limited by
// what is read of it.
func TestImportSparse(t *testing.T) {
	t.Parallel()
	needRoot(t)
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	top := root()
	for _, h := range []*tar.Header{{Name: manifestEntry, Typeflag: tar.TypeReg, Size: int64(len(goodManifest))}, &top} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, goodManifest[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	records := ""
	for _, r := range []string{"GNU.sparse.size=4294967296", "GNU.sparse.numblocks=1", "GNU.sparse.map=4294967296,0"} {
		records += fmt.Sprintf("%d %s\n", len(r)+4, r)
	}
	raw := rawHeader("pax", 'x', len(records)) + records + strings.Repeat("\x00", 512-len(records)) + rawHeader("tree/big", '0', 0)
	_, err = io.WriteString(z, raw)
	if err := errors.Join(w.Flush(), err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, newTmpfs(t), Options{Driver: Copy()})
	_, _, err = s.Import(t.Context(), "new", &out, ImportOptions{MaxBytes: 1 << 20})
	wantErr(t, err, ErrCorrupt)
	if err != nil && !strings.Contains(err.Error(), "sparse") {
		t.Errorf("error %v", err)
	}
	noLeftovers(t, s)
}

// rawHeader is a header of ustar(5), for what the standard library does not write.
func rawHeader(name string, kind byte, size int) string {
	h := []byte(fmt.Sprintf("%-100s%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00%8s%c%-100sustar\x0000", name, 0o644, 0, 0, size, 0, "", kind, ""))
	for i, c := range h[:100] {
		if c == ' ' {
			h[i] = 0
		}
	}
	clear(h[157:257])
	h = append(h, make([]byte, 512-len(h))...)
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return string(h)
}

// TestCarry: from a btrfs store to a copy store, to an overlay store, and back; the
// digest is the same on the way.
func TestCarry(t *testing.T) {
	t.Parallel()
	s := openStore(t, newPool(t, 256<<20).Dir(), Options{})
	v := newVolume(t, s, "gw")
	write(t, filepath.Join(v.Path(), "etc/hostname"), "gw")
	if err := createSubvolume(filepath.Join(v.Path(), "sub")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.Path(), "sub/f"), "nested")
	take(t, v, "a", Metadata{Key: "k"})
	want := tree(t, v.Path())
	first := ""
	for i, to := range []*Store{
		openStore(t, newTmpfs(t), Options{Driver: Copy()}),
		openStore(t, newTmpfs(t), Options{Driver: Overlay()}),
		s,
	} {
		var out bytes.Buffer
		digest, err := v.Export(t.Context(), "a", &out, ExportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = digest
		}
		if digest != first {
			t.Errorf("digest became %s, was %s", digest, first)
		}
		if v, _, err = to.Import(t.Context(), "carried", &out, ImportOptions{Digest: first}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tree(t, v.Path())); diff != "" {
			t.Error(diff)
		}
	}
}
