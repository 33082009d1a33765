package snapshot

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
)

// TestMemoryFlat: what is kept of a tree does not grow with it, not even of one huge
// directory. It does not run beside other tests, whose memory it would measure.
func TestMemoryFlat(t *testing.T) {
	needRoot(t)
	s := openStore(t, newTmpfs(t), Options{Driver: Copy()})
	const few, many = 2 * mostNames, 8 * mostNames
	small, large := huge(t, s, few), huge(t, s, many)
	for name, work := range map[string]func(v *Volume, sample func()) error{
		"snapshot": func(v *Volume, sample func()) error {
			sample = every(4096, sample)
			_, err := v.Snapshot(withProbe(t.Context(), func(string, bool) error { sample(); return nil }), "more", Metadata{})
			return err
		},
		"export": func(v *Volume, sample func()) error {
			_, err := v.Export(t.Context(), "s", sampler{every(16, sample)}, ExportOptions{})
			return err
		},
		"diff": func(v *Volume, sample func()) error {
			sample = every(4096, sample)
			for _, err := range v.Diff(t.Context(), "s", "") {
				if sample(); err != nil {
					return err
				}
			}
			return nil
		},
		"size": func(v *Volume, sample func()) error {
			_, err := v.Size(t.Context(), "s")
			sample()
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := peak(t, small, work), peak(t, large, work)
			const slack = 2 << 20 // the names alone that the large one has more are 3 MiB
			t.Logf("%d KiB for %d files, %d KiB for %d", a>>10, few, b>>10, many)
			if b > a+slack {
				t.Error("that is not flat")
			}
		})
	}
}

// huge is a volume with n files in one directory, and a snapshot from before all of
// them changed.
func huge(t *testing.T, s *Store, n int) *Volume {
	t.Helper()
	v := newVolume(t, s, fmt.Sprint("v", n))
	for i := range n {
		if err := os.Symlink("elsewhere", filepath.Join(v.Path(), fmt.Sprintf("a rather long name of a file %d", i))); err != nil {
			t.Fatal(err)
		}
	}
	take(t, v, "s", Metadata{})
	for i := range n {
		if err := os.Lchown(filepath.Join(v.Path(), fmt.Sprintf("a rather long name of a file %d", i)), 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// peak is how far the heap grows while work runs.
func peak(t *testing.T, v *Volume, work func(*Volume, func()) error) (most uint64) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	sample := func() {
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc-min(before, m.HeapAlloc))
	}
	if err := work(v, sample); err != nil {
		t.Fatal(err)
	}
	return most
}

// every calls f once in so many calls.
func every(n int64, f func()) func() {
	var calls atomic.Int64
	return func() {
		if calls.Add(1)%n == 1 {
			f()
		}
	}
}

// A sampler is called for each write.
type sampler struct{ sample func() }

func (s sampler) Write(p []byte) (int, error) {
	s.sample()
	return io.Discard.Write(p)
}
