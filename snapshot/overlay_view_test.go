package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// TestViewWhileSwept: whoever looks at a snapshot does not lose it to those who sweep.
func TestViewWhileSwept(t *testing.T) {
	t.Parallel()
	s := openStore(t, newTmpfs(t), Options{Driver: Overlay()})
	v := newVolume(t, s, "gw")
	write(t, v.Path()+"/f", "text")
	take(t, v, "a", Metadata{})
	var done atomic.Bool
	swept := make(chan error)
	go func() {
		var err error
		for err == nil && !done.Load() {
			err = layersOf(v.Path()).sweepViews(t.Context())
		}
		swept <- err
	}()
	for range 300 {
		dir, release, err := s.driver.View(t.Context(), v.frozen("a"))
		if err != nil {
			t.Error(err)
			break
		}
		if text, err := os.ReadFile(dir + "/f"); string(text) != "text" {
			t.Errorf("read %q, %v", text, err)
		}
		if err := release(); err != nil {
			t.Error(err)
			break
		}
	}
	done.Store(true)
	if err := <-swept; err != nil {
		t.Error(err)
	}
}

// TestOverlayBelowItsLikes: in a directory that looks like a store's own.
func TestOverlayBelowItsLikes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newTmpfs(t), stateDir, "work")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, Options{Driver: Overlay()})
	v := newVolume(t, s, "tree")
	write(t, v.Path()+"/f", "old")
	take(t, v, "a", Metadata{})
	write(t, v.Path()+"/f", "new")
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, v.Path()); !slices.Equal(got, []string{"f=old"}) {
		t.Errorf("restored: %q", got)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	noLeftovers(t, s)
	if left := tree(t, dir); slices.Contains(left, "tree") {
		t.Errorf("left: %q", left)
	}
}

// TestOverlayKilledInOpen: at every point, what it tries out included.
func TestOverlayKilledInOpen(t *testing.T) {
	b := bench{Overlay(), newTmpfs(t)}
	s := furnish(t, b, "store")
	want := describe(t, s)
	n := 0
	for ; killAt(t, b, s.Dir(), "open", n); n++ {
		whole(t, s, want, want, fmt.Sprint("killed at point ", n))
	}
	if n < 2 {
		t.Errorf("%d points", n)
	}
}

// TestOverlayIsDurable: what a snapshot has is on the disk when there is the snapshot, as
// far as the file system tells.
func TestOverlayIsDurable(t *testing.T) {
	t.Parallel()
	s := openStore(t, newPool(t, 256<<20).Dir(), Options{Driver: Overlay()})
	v := newVolume(t, s, "gw")
	const size = 1 << 20
	write(t, v.Path()+"/f", strings.Repeat("0123456789abcdef", size/16))
	// That the kernel writes it out after the last mount has gone is too late.
	held, err := unix.OpenTree(unix.AT_FDCWD, v.Path(), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(held)
	take(t, v, "a", Metadata{})
	found, err := filepath.Glob(layersOf(v.Path()).diff("*") + "/f")
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	f, err := os.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	written := int64(0)
	if err := eachExtent(int(f.Fd()), func(at span, _ bool) { written += at.end - at.start }); err != nil {
		t.Fatal(err)
	}
	if written != size {
		t.Errorf("%d of %d bytes have a place on the disk", written, size)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}
