package snapshot

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sinceManifest = `{"Format":2,"Name":"b","Since":"parent"}`

func removed(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{paxType: typeRemoved}}
}

// TestImportSinceHostile: a difference may change its own tree only, and each name once.
func TestImportSinceHostile(t *testing.T) {
	t.Parallel()
	needRoot(t)
	outside := t.TempDir()
	write(t, filepath.Join(outside, "f"), "precious")
	s := openStore(t, newTmpfs(t), Options{Driver: Copy()})
	parent := stream(t, `{"Format":1,"Name":"a","ID":"parent"}`, root(), dir("tree/d"), file("tree/d/f"), symlink("tree/l", outside), file("tree/z"))
	v, _, err := s.Import(t.Context(), "gw", bytes.NewReader(parent), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := describe(t, s)
	for name, text := range map[string][]byte{
		"through a link":      stream(t, sinceManifest, root(), dir("tree/l"), file("tree/l/f")),
		"removed beyond":      stream(t, sinceManifest, root(), dir("tree/l"), removed("tree/l/f")),
		"dot dot":             stream(t, sinceManifest, root(), removed("tree/..")),
		"the root":            stream(t, sinceManifest, root(), removed("tree")),
		"twice":               stream(t, sinceManifest, root(), file("tree/f"), file("tree/f")),
		"backwards":           stream(t, sinceManifest, root(), file("tree/f"), file("tree/e")),
		"removed twice":       stream(t, sinceManifest, root(), removed("tree/d"), removed("tree/d")),
		"removed after":       stream(t, sinceManifest, root(), file("tree/d"), removed("tree/d")),
		"nothing to remove":   stream(t, sinceManifest, root(), removed("tree/x")),
		"file over directory": stream(t, sinceManifest, root(), file("tree/d")),
		"directory over file": stream(t, sinceManifest, root(), dir("tree/z")),
		"no directory":        stream(t, sinceManifest, root(), file("tree/d/f")),
		"link outside":        stream(t, sinceManifest, root(), hardlink("tree/h", "tree/l/f")),
		"removed in a whole":  stream(t, `{"Format":1,"Name":"b"}`, root(), file("tree/f"), removed("tree/f")),
		"no parent":           stream(t, `{"Format":2,"Name":"b"}`, root()),
		"parent of a whole":   stream(t, `{"Format":1,"Name":"b","Since":"parent"}`, root()),
	} {
		if _, err := v.Import(t.Context(), bytes.NewReader(text), ImportOptions{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = v.Import(t.Context(), bytes.NewReader(stream(t, strings.Replace(sinceManifest, "parent", "other", 1), root())), ImportOptions{})
	wantErr(t, err, ErrNotFound)
	if after := describe(t, s); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("was %v, became %v", before, after)
	}
	noLeftovers(t, s)
	if text, err := os.ReadFile(filepath.Join(outside, "f")); string(text) != "precious" {
		t.Error(string(text), err)
	}
}

// TestCarryRandom: a tree that changes at random is carried to a store of another
// driver, whole once and then by differences, with the digest of each whole the same.
func TestCarryRandom(t *testing.T) {
	t.Parallel()
	rounds := 2
	if os.Getenv(tortureVariable) != "" {
		rounds = 20
	}
	from := newStore(t)
	for _, to := range []*Store{openStore(t, newTmpfs(t), Options{Driver: Copy()}), openStore(t, newTmpfs(t), Options{Driver: Overlay()})} {
		for round := range rounds {
			seed := rand.Uint64()
			carryRandom(t, mangler{t, rand.New(rand.NewPCG(seed, 0)), newVolume(t, from, fmt.Sprint(to.driver.Name(), round))}, to)
			if t.Failed() {
				t.Fatalf("to %s, seed %d", to.driver.Name(), seed)
			}
		}
	}
}

func carryRandom(t *testing.T, m mangler, to *Store) {
	var copied *Volume
	for i := range 5 {
		for range m.N(40) + 1 {
			m.mangle()
		}
		name := fmt.Sprint("s", i)
		take(t, m.v, name, Metadata{})
		var carried, whole, again bytes.Buffer
		var err error
		if copied == nil {
			_, err = m.v.Export(t.Context(), name, &carried, ExportOptions{})
			if err == nil {
				copied, _, err = to.Import(t.Context(), m.v.Name(), &carried, ImportOptions{})
			}
		} else {
			_, err = m.v.Export(t.Context(), name, &carried, ExportOptions{Since: fmt.Sprint("s", m.N(i))})
			if err == nil {
				_, err = copied.Import(t.Context(), &carried, ImportOptions{})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.v.Export(t.Context(), name, &whole, ExportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := copied.Export(t.Context(), name, &again, ExportOptions{}); err != nil || got != want {
			t.Errorf("%s: digest is %s, was %s, %v", name, got, want, err)
		}
	}
}
