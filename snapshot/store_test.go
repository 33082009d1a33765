package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"gw": true, "container_gw_network": true, "pas-r11p11": true, "a.b": true, "é": true, "two words": true,
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
		"": false, ".": false, "..": false, ".rig": false, "-rf": false, "a/b": false, "a\x00": false,
		"a\nb": false, "\x7f": false, "a\u2028b": false, "\xff": false,
	} {
		err := checkName("volume", name)
		if ok != (err == nil) || !ok && !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, want ok %v", name, err, ok)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("gw")
	f.Add("..")
	f.Fuzz(func(t *testing.T, name string) {
		if checkName("volume", name) == nil && filepath.Join("/store", name) != "/store/"+name {
			t.Errorf("%q leaves the store", name)
		}
	})
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	take(t, v, "a", Metadata{})
	const bad = "../gw"
	_, err := s.Create(t.Context(), bad)
	wantErr(t, err, ErrInvalid)
	_, err = s.Volume(bad)
	wantErr(t, err, ErrInvalid)
	_, err = s.Clone(t.Context(), "web", Snapshot{Volume: "gw", Name: bad})
	wantErr(t, err, ErrInvalid)
	_, err = s.Clone(t.Context(), "web", Snapshot{Volume: bad, Name: "a"})
	wantErr(t, err, ErrInvalid)
	_, err = v.Snapshot(t.Context(), bad, Metadata{})
	wantErr(t, err, ErrInvalid)
	_, err = v.Find(t.Context(), bad)
	wantErr(t, err, ErrInvalid)
	_, err = v.Rename(t.Context(), bad)
	wantErr(t, err, ErrInvalid)
	wantErr(t, v.Restore(t.Context(), bad), ErrInvalid)
	wantErr(t, v.DeleteSnapshot(t.Context(), bad), ErrInvalid)
	wantErr(t, v.RenameSnapshot(t.Context(), "a", bad), ErrInvalid)
	wantErr(t, v.RenameSnapshot(t.Context(), bad, "b"), ErrInvalid)
	noLeftovers(t, s)
}

func TestLongestNames(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	long := strings.Repeat(`"`, 255) // the longest in an intent too
	v := newVolume(t, s, long)
	take(t, v, long, Metadata{})
	if err := v.RenameSnapshot(t.Context(), long, strings.Repeat(`\`, 255)); err != nil {
		t.Fatal(err)
	}
	if err := v.Restore(t.Context(), strings.Repeat(`\`, 255)); err != nil {
		t.Fatal(err)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, err := s.Volume("gw")
	wantErr(t, err, ErrNotFound)
	wantErr(t, err, fs.ErrNotExist)
	v := newVolume(t, s, "gw")
	_, err = s.Create(t.Context(), "gw")
	wantErr(t, err, ErrExists)
	wantErr(t, err, fs.ErrExist)
	take(t, v, "a", Metadata{})
	_, err = v.Snapshot(t.Context(), "a", Metadata{})
	wantErr(t, err, ErrExists)
	wantErr(t, v.Restore(t.Context(), "b"), ErrNotFound)
	wantErr(t, v.DeleteSnapshot(t.Context(), "b"), ErrNotFound)
	_, err = v.Find(t.Context(), "b")
	wantErr(t, err, ErrNotFound)
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, v.Delete(t.Context()), ErrNotFound)
	_, err = v.Snapshot(t.Context(), "c", Metadata{})
	wantErr(t, err, ErrNotFound)
	for _, err := range v.Snapshots(t.Context()) {
		wantErr(t, err, ErrNotFound)
	}
}

func TestStrangersFile(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	write(t, filepath.Join(s.Dir(), "gw/f"), "precious")
	_, err := s.Create(t.Context(), "gw")
	wantErr(t, err, ErrExists)
	for v, err := range s.Volumes(t.Context()) {
		t.Errorf("lists %v, %v", v.Name(), err)
	}
	if text, err := os.ReadFile(filepath.Join(s.Dir(), "gw/f")); string(text) != "precious" {
		t.Error(string(text), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := t.Context()
	_, err := Open(ctx, filepath.Join(dir, "missing"), Options{})
	wantErr(t, err, ErrNotFound)
	file := filepath.Join(dir, "file")
	write(t, file, "")
	_, err = Open(ctx, file, Options{})
	wantErr(t, err, ErrInvalid)
	_, err = Open(ctx, dir, Options{Existing: true})
	wantErr(t, err, ErrNotFound)
	if _, err := os.Stat(filepath.Join(dir, stateDir)); err == nil {
		t.Error("a refused open made a store")
	}
	for text, want := range map[string]error{
		`{"Format":3,"Driver":"btrfs"}`:  ErrFormat,
		`{"Format":1,"Driver":"zfs"}`:    ErrNotSupported,
		`{"Format":0,"Driver":"btrfs"}`:  ErrCorrupt,
		`{"Format":1`:                    ErrCorrupt,
		``:                               ErrCorrupt,
		`{"Format":-1,"Driver":"btrfs"}`: ErrCorrupt,
	} {
		write(t, filepath.Join(dir, stateDir, storeFile), text)
		_, err := Open(ctx, dir, Options{})
		wantErr(t, err, want)
	}
}

func TestOpenRequires(t *testing.T) {
	t.Parallel()
	dir := newPool(t, 256<<20).Dir()
	_, err := Open(t.Context(), dir, Options{Driver: Copy(), Require: Capabilities{Instant: true, Exclusive: true}})
	wantErr(t, err, ErrNotSupported)
	if !strings.Contains(err.Error(), "instant snapshots") {
		t.Errorf("does not say what is missing: %v", err)
	}
	s := openStore(t, dir, Options{Require: Capabilities{Instant: true, Live: true, Shared: true}})
	if s.Driver().Name() != "btrfs" || !strings.Contains(s.Reason(), "btrfs") {
		t.Errorf("driver %q because %q", s.Driver().Name(), s.Reason())
	}
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	p := newPool(t, 256<<20)
	s := openStore(t, p.Dir(), Options{})
	v := newVolume(t, s, "gw")
	take(t, v, "a", Metadata{})
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", p.Dir(), "", unix.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(unix.MS_RDONLY)
	_, err := s.Create(t.Context(), "web")
	wantErr(t, err, ErrReadOnly)
	_, err = v.Snapshot(t.Context(), "b", Metadata{})
	wantErr(t, err, ErrReadOnly)
	wantErr(t, v.Restore(t.Context(), "a"), ErrReadOnly)
	wantErr(t, v.DeleteSnapshot(t.Context(), "a"), ErrReadOnly)
	ro := openStore(t, p.Dir(), Options{})
	if v, err := ro.Volume("gw"); err != nil || len(names(t, v)) != 1 {
		t.Errorf("on a read-only file system: %v", err)
	}
	remount(0)
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	noLeftovers(t, s)
}

func TestLockedByAnother(t *testing.T) {
	t.Parallel()
	dir := newPool(t, 256<<20).Dir()
	one, two := openStore(t, dir, Options{}), openStore(t, dir, Options{})
	if err := one.lock.acquire(t.Context(), "restore"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for _, s := range []*Store{one, two} {
		_, err := s.Create(ctx, "gw")
		wantErr(t, err, ErrLocked)
		wantErr(t, err, context.DeadlineExceeded)
		for _, want := range []string{"restore", "PID", "end it"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("does not say %q: %v", want, err)
			}
		}
	}
	if err := one.lock.release(); err != nil {
		t.Fatal(err)
	}
	newVolume(t, two, "gw")
}

// TestCancelledBefore: nobody is said to have the lock that nobody has.
func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		_, err := s.Create(ctx, "gw")
		wantErr(t, err, context.Canceled)
		if errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
	}
	newVolume(t, s, "gw")
}

// TestConcurrent: many at once, in two Stores, and nothing is lost or doubled.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	dir := newPool(t, 256<<20).Dir()
	stores := []*Store{openStore(t, dir, Options{}), openStore(t, dir, Options{})}
	newVolume(t, stores[0], "gw")
	const each = 10
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			v, err := s.Volume("gw")
			for n := range each {
				if err == nil {
					_, err = v.Snapshot(t.Context(), string(rune('a'+i))+string(rune('0'+n)), Metadata{})
				}
				if err == nil {
					err = v.Restore(t.Context(), string(rune('a'+i))+"0")
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	v, err := stores[0].Volume("gw")
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, v); len(got) != 2*each {
		t.Errorf("%d snapshots, want %d: %v", len(got), 2*each, got)
	}
	noLeftovers(t, stores[0])
}
