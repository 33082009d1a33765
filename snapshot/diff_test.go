package snapshot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// walking is the btrfs driver without what it knows of generations.
type walking struct{ Driver }

// changes lists a diff, both ways where the driver has two: they must agree.
func changes(t testing.TB, v *Volume, from, to string) []string {
	t.Helper()
	list := func(v *Volume) []string {
		var list []string
		for c, err := range v.Diff(t.Context(), from, to) {
			if err != nil {
				t.Fatal(err)
			}
			line := string(c.Kind) + " " + c.Path
			if c.From != "" {
				line += " from " + c.From
			}
			list = append(list, line)
		}
		return list
	}
	slow := *v.store
	slow.driver = walking{v.store.driver}
	quick, walked := list(v), list(&Volume{store: &slow, name: v.name})
	if diff := cmp.Diff(walked, quick); diff != "" {
		t.Errorf("from %q to %q by generation (+) and by walking (-):\n%s", from, to, diff)
	}
	return quick
}

// tracked fails unless the driver knows how the two trees are related.
func tracked(t testing.TB, v *Volume, from, to string) {
	t.Helper()
	a, descentA, closeA, err := v.side(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer closeA()
	b, descentB, closeB, err := v.side(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer closeB()
	if _, ok, err := v.store.driver.(tracker).Suspects(t.Context(), a, b, descentA, descentB); !ok || err != nil {
		t.Errorf("from %q to %q: not by generation, %v", from, to, err)
	}
}

func TestDiffRenames(t *testing.T) {
	t.Parallel()
	v := newVolume(t, newStore(t), "gw")
	at := func(name string) string { return filepath.Join(v.Path(), name) }
	for _, name := range []string{"a/f", "a/sub/g", "a/sub/gone", "etc/motd", "same", "target", "both"} {
		write(t, at(name), name)
	}
	take(t, v, "before", Metadata{})
	if got := changes(t, v, "before", ""); len(got) != 0 {
		t.Errorf("unchanged: %v", got)
	}
	for _, err := range []error{
		os.Rename(at("a"), at("z")),
		os.Remove(at("z/sub/gone")),
		os.Rename(at("etc/motd"), at("motd")),
		os.Chmod(at("motd"), 0o600),
		os.Rename(at("both"), at("z/sub/both")),
		os.Rename(at("same"), at("target")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	write(t, at("z/sub/new"), "new")
	write(t, at("z/sub/both"), "more")
	take(t, v, "after", Metadata{})
	want := []string{
		"removed a/sub/gone", "renamed motd from etc/motd", "attributes motd", "removed same", "content target",
		"renamed z from a", "renamed z/sub/both from both", "content z/sub/both", "added z/sub/new",
	}
	if diff := cmp.Diff(want, changes(t, v, "before", "after")); diff != "" {
		t.Error(diff)
	}
	tracked(t, v, "before", "after")
}

// TestDiffRelatives: by generation between a snapshot and whatever came of it, also
// after the trees in between are gone.
func TestDiffRelatives(t *testing.T) {
	t.Parallel()
	v := newVolume(t, newStore(t), "gw")
	step := func(name string) {
		t.Helper()
		write(t, filepath.Join(v.Path(), name), name)
		take(t, v, name, Metadata{})
	}
	restore := func(name string) {
		t.Helper()
		if err := v.Restore(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	step("a")
	step("b")
	restore("a")
	step("c") // of a tree that the next restoration deletes
	restore("a")
	step("d")
	restore("b")
	for _, p := range [][2]string{{"a", "b"}, {"b", "a"}, {"a", "c"}, {"c", "d"}, {"b", "d"}, {"b", "c"}, {"a", ""}, {"c", ""}} {
		tracked(t, v, p[0], p[1])
		changes(t, v, p[0], p[1])
	}
	if diff := cmp.Diff([]string{"removed c", "added d"}, changes(t, v, "c", "d")); diff != "" {
		t.Error(diff)
	}
	if err := v.RenameSnapshot(t.Context(), "c", "e"); err != nil {
		t.Fatal(err)
	}
	tracked(t, v, "e", "d")
}

// TestDiffHugeDirectory: one change among many names.
func TestDiffHugeDirectory(t *testing.T) {
	t.Parallel()
	v := newVolume(t, newStore(t), "gw")
	const n = mostNames + mostNames/2 // more than are held at once
	for i := range n {
		if err := os.Symlink("x", filepath.Join(v.Path(), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	take(t, v, "before", Metadata{})
	if err := os.Remove(filepath.Join(v.Path(), "7")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(v.Path(), "new"), "")
	take(t, v, "after", Metadata{})
	if diff := cmp.Diff([]string{"removed 7", "added new"}, changes(t, v, "before", "after")); diff != "" {
		t.Error(diff)
	}
	tracked(t, v, "before", "after")
}

func TestSortedNames(t *testing.T) {
	t.Parallel()
	dir := newTmpfs(t)
	var want []string
	for i := range 2*mostNames + 100 {
		name := fmt.Sprint(i * 7919 % 1000003)
		want = append(want, name)
		if err := os.Symlink("x", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var got []string
	for name, err := range sortedNames(f) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, name)
	}
	if !slices.Equal(want, got) {
		t.Errorf("%d names out of order, want %d", len(got), len(want))
	}
}

// TestDiffRandom changes a tree at random, goes back now and then, and compares all
// snapshots with each other, both ways.
func TestDiffRandom(t *testing.T) {
	t.Parallel()
	rounds := 3
	if os.Getenv(tortureVariable) != "" {
		rounds = 40
	}
	s := newStore(t)
	for round := range rounds {
		seed := rand.Uint64()
		m := mangler{t, rand.New(rand.NewPCG(seed, 0)), newVolume(t, s, fmt.Sprint("v", round))}
		for i := range 6 {
			for range m.N(30) + 1 {
				m.mangle()
			}
			take(t, m.v, fmt.Sprint(i), Metadata{})
			for from := range i {
				changes(t, m.v, fmt.Sprint(from), fmt.Sprint(i))
			}
			if i > 0 && m.N(3) == 0 {
				if err := m.v.Restore(t.Context(), fmt.Sprint(m.N(i))); err != nil {
					t.Fatal(err)
				}
			}
			m.mangle()
			changes(t, m.v, fmt.Sprint(m.N(i+1)), "")
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		if err := m.v.Delete(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// A mangler does to a tree whatever can be done to one.
type mangler struct {
	t *testing.T
	*rand.Rand
	v *Volume
}

func (m *mangler) N(n int) int { return m.IntN(n) }

// path is that of a file that may or may not be there.
func (m *mangler) path() string {
	path := m.v.Path()
	for range m.N(3) + 1 {
		path = filepath.Join(path, string(rune('a'+m.N(6))))
	}
	return path
}

// mangle tries one thing; what cannot be done is left.
func (m *mangler) mangle() {
	one, two := m.path(), m.path()
	switch m.N(14) {
	case 0, 1:
		_ = os.Mkdir(one, 0o755)
	case 2, 3:
		_ = os.WriteFile(one, []byte(fmt.Sprint(m.N(100))), 0o644)
	case 4:
		_ = os.WriteFile(one, make([]byte, m.N(100_000)), 0o644)
	case 5, 6:
		_ = os.Rename(one, two)
	case 7:
		_ = os.Link(one, two)
	case 8:
		_ = os.Symlink(fmt.Sprint(m.N(3)), one)
	case 9:
		_ = os.Remove(one)
	case 10:
		_ = os.RemoveAll(one)
	case 11:
		_ = os.Chmod(one, 0o700|os.FileMode(m.N(8)))
	case 12:
		_ = unix.Lsetxattr(one, "user.x", []byte{byte(m.N(3))}, 0)
	case 13:
		_ = createSubvolume(one)
	}
}
