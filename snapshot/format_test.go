package snapshot

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOldFormat: a store of format 1, in which a base is a bare name, is read, and made
// one that older programs refuse before anything is written that they would misread.
func TestOldFormat(t *testing.T) {
	t.Parallel()
	p := newPool(t, 256<<20)
	s := openStore(t, p.Dir(), Options{})
	v := newVolume(t, s, "gw")
	take(t, v, "a", Metadata{})
	take(t, v, "b", Metadata{})
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	old := func(path, target string) {
		t.Helper()
		if err := errors.Join(os.Remove(path), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
	}
	old(v.record("base"), "a")
	old(s.state(storeFile), `{"Format":1,"Driver":"btrfs"}`)
	format := func(want int) {
		t.Helper()
		if rec, err := s.readStoreRecord(); err != nil || rec.Format != want {
			t.Errorf("format %d, %v, want %d", rec.Format, err, want)
		}
	}
	if err := unix.Mount("", p.Dir(), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	openStore(t, p.Dir(), Options{})
	format(1)
	if err := unix.Mount("", p.Dir(), "", unix.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	v, err := openStore(t, p.Dir(), Options{}).Volume("gw")
	if err != nil {
		t.Fatal(err)
	}
	format(formatVersion)
	if c := take(t, v, "c", Metadata{}); c.Parent != "a" {
		t.Errorf("parent %q, want a", c.Parent)
	}
	if _, sequence := v.readBase(); sequence != 3 {
		t.Errorf("sequence %d, want 3", sequence)
	}
}
