package snapshot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
)

// TestStreamProgress: what goes out and what comes in is told as it does, and is the same.
func TestStreamProgress(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	write(t, v.Path()+"/etc/motd", strings.Repeat("x", 1<<20))
	write(t, v.Path()+"/f", "text")
	take(t, v, "a", Metadata{})
	type count struct{ entries, bytes int64 }
	told := func(counts *[]count) func(int64, int64) {
		return func(entries, bytes int64) { *counts = append(*counts, count{entries, bytes}) }
	}
	var out, in []count
	var stream bytes.Buffer
	if _, err := v.Export(t.Context(), "a", &stream, ExportOptions{Progress: told(&out)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Import(t.Context(), "web", &stream, ImportOptions{Progress: told(&in)}); err != nil {
		t.Fatal(err)
	}
	want := count{4, 1<<20 + 4} // the root and etc are entries too
	for name, counts := range map[string][]count{"export": out, "import": in} {
		if len(counts) < 8 || counts[len(counts)-1] != want {
			t.Errorf("%s: %v, want it to end with %v", name, counts, want)
		}
		for i, c := range counts[1:] {
			if c.entries < counts[i].entries || c.bytes < counts[i].bytes {
				t.Errorf("%s goes back: %v after %v", name, c, counts[i])
			}
		}
	}
}

// TestCancelledInAFile: an export ends in the middle of a large file, and so do the copy and
// the comparison of one.
func TestCancelledInAFile(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	write(t, v.Path()+"/large", strings.Repeat("x", 8<<20))
	take(t, v, "a", Metadata{})
	ctx, cancel := context.WithCancel(t.Context())
	read := int64(0)
	_, err := v.Export(ctx, "a", io.Discard, ExportOptions{Progress: func(_, bytes int64) {
		if read = bytes; bytes > 0 {
			cancel()
		}
	}})
	wantErr(t, err, context.Canceled)
	if read == 0 || read > 1<<20 {
		t.Errorf("cancelled after %d bytes", read)
	}
	dir, err := os.Open(v.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := bytesDiffer(ctx, "large", "large", dir, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("compared: %v", err)
	}
	large, err := openFileIn(dir, "large")
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	for name, copied := range map[string]func(context.Context, int, int, int64, int64) error{"range": copyRange, "bytes": copyBytes} {
		if err := copied(ctx, -1, int(large.Fd()), 0, 8<<20); !errors.Is(err, context.Canceled) {
			t.Errorf("copied by %s: %v", name, err)
		}
	}
}

// TestStreamOnOneProcessor: the bytes do not depend on how many there are.
func TestStreamOnOneProcessor(t *testing.T) {
	s := newStore(t)
	v := newVolume(t, s, "gw")
	for _, name := range []string{"a", "b", "c"} {
		write(t, v.Path()+"/"+name, strings.Repeat(name+" is not much to compress\n", 1<<16))
	}
	take(t, v, "a", Metadata{})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var streams [2]bytes.Buffer
	for i := range streams {
		runtime.GOMAXPROCS(i + 1)
		if _, err := v.Export(t.Context(), "a", io.Writer(&streams[i]), ExportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(streams[0].Bytes(), streams[1].Bytes()) {
		t.Errorf("%d bytes with one processor differ from %d with two", streams[0].Len(), streams[1].Len())
	}
}
