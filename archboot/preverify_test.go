package archboot_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
)

// TestCacheTampered changes a package in a cache that was good before. Whatever
// checked it first, it must not be installed.
func TestCacheTampered(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	for name, change := range map[string]func(t *testing.T, file string){
		"flipped byte": func(t *testing.T, file string) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)/2] ^= 1
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"signature gone": func(t *testing.T, file string) { remove(t, file+".sig") },
		"truncated":      func(t *testing.T, file string) { truncate(t, file, 10) },
		"bad signature":  func(t *testing.T, file string) { truncate(t, file+".sig", 10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := configFor(m)
			c.CacheDir = t.TempDir()
			if err := os.Chmod(c.CacheDir, 0o755); err != nil {
				t.Fatal(err)
			}
			good := t.TempDir()
			if err := archboot.Bootstrap(t.Context(), good, c); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(c.CacheDir, "units-*.zst"))
			if len(files) != 1 {
				t.Fatalf("cache: %v", files)
			}
			change(t, files[0])
			root := t.TempDir()
			err := archboot.Bootstrap(t.Context(), root, c)
			if err == nil { // pacman fetched what was wrong again
				want, _ := archboot.ReadManifest(t.Context(), good)
				got, _ := archboot.ReadManifest(t.Context(), root)
				if lines := want.Diff(got, archboot.VolatilePaths()); len(lines) > 0 || len(got.Files) == 0 {
					t.Errorf("another root: %q", lines)
				}
			} else if !errors.Is(err, archboot.ErrSignature) && !errors.Is(err, archboot.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, name string, size int64) {
	t.Helper()
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
}

// TestCachedPackagesAreVerifiedOnce: the first time pacman checks signatures, the
// second time they have been checked before it comes.
func TestCachedPackagesAreVerifiedOnce(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	c.CacheDir = filepath.Join(t.TempDir(), "cache")
	const checked = `msg="signatures of cached packages checked" packages=2 error=<nil>`
	for i, want := range []bool{false, true} {
		var log strings.Builder
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		if err := archboot.Bootstrap(t.Context(), t.TempDir(), c); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), checked); got != want {
			t.Errorf("run %d: signatures checked beforehand: %v, want %v", i+1, got, want)
		}
	}
	// In a directory where others may write, nobody's word counts but pacman's.
	if err := os.Chmod(c.CacheDir, 0o777); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if err := archboot.Bootstrap(t.Context(), t.TempDir(), c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), checked) {
		t.Error("a cache that others may write to was trusted")
	}
}

// atMessage is a log that calls do when a message comes.
type atMessage struct {
	slog.Handler
	message string
	do      func()
}

func (h atMessage) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.message {
		h.do()
	}
	return h.Handler.Handle(ctx, r)
}

// TestVerifiedPackageVanishes removes a package from the cache between its verification
// and its installation: what a mirror has in its place has been verified by nobody.
func TestVerifiedPackageVanishes(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	c.CacheDir = filepath.Join(t.TempDir(), "cache")
	if err := archboot.Bootstrap(t.Context(), t.TempDir(), c); err != nil {
		t.Fatal(err)
	}
	vanish := func() {
		files, err := filepath.Glob(filepath.Join(c.CacheDir, "units-*"))
		if err != nil || len(files) != 2 {
			t.Errorf("the cache has %q, %v", files, err)
		}
		for _, name := range files {
			remove(t, name)
		}
	}
	debug := slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})
	c.Logger = slog.New(atMessage{debug, "signatures of cached packages checked", vanish})
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); !errors.Is(err, archboot.ErrMirror) {
		t.Errorf("got %v, want %v", err, archboot.ErrMirror)
	}
	assertEmpty(t, root)
}
