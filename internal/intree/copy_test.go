package intree_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/intree"
)

func same(uid, gid uint32) (int, int) { return int(uid), int(gid) }

// newSource returns a tree with one of everything.
func newSource(t *testing.T) (*intree.Tree, string) {
	t.Helper()
	src, dir, _ := newTree(t)
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "a/deep/er"), 0o750),
		os.WriteFile(filepath.Join(dir, "a/file"), []byte("content"), 0o640),
		os.Link(filepath.Join(dir, "a/file"), filepath.Join(dir, "a/deep/again")),
		os.Symlink("/etc/passwd", filepath.Join(dir, "a/link")),
		unix.Mkfifo(filepath.Join(dir, "a/fifo"), 0o600),
		os.WriteFile(filepath.Join(dir, "a/deep/er/tool"), []byte("#!"), 0o600),
		os.Chmod(filepath.Join(dir, "a/deep/er/tool"), 0o755|fs.ModeSetgid),
		os.Chtimes(filepath.Join(dir, "a/deep"), time.Unix(1, 0), time.Unix(1000, 0)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return src, dir
}

func TestCopyFrom(t *testing.T) {
	t.Parallel()
	src, _ := newSource(t)
	dst, dir, _ := newTree(t)
	for range 2 { // the second merges into the first
		if err := dst.CopyFrom(t.Context(), "/srv", src, "/a", same); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := dst.ReadFile("srv/file"); err != nil || string(data) != "content" {
		t.Errorf("file: %q, %v", data, err)
	}
	one, err1 := os.Stat(filepath.Join(dir, "srv/file"))
	two, err2 := os.Stat(filepath.Join(dir, "srv/deep/again"))
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(one, two) || one.Mode() != 0o640 {
		t.Errorf("hard link: %v, %v, %v", one, two, err)
	}
	if target, err := dst.Readlink("srv/link"); err != nil || target != "/etc/passwd" {
		t.Errorf("symlink: %q, %v", target, err)
	}
	if _, err := dst.Lstat("srv/fifo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("fifo: %v", err)
	}
	if info, err := dst.Stat("srv/deep/er/tool"); err != nil || info.Mode() != 0o755|fs.ModeSetgid {
		t.Errorf("mode: %v, %v", info, err)
	}
	if info, err := dst.Stat("srv/deep"); err != nil || info.ModTime().Unix() != 1000 {
		t.Errorf("time: %v, %v", info, err)
	}
}

func TestCopyFromOneFile(t *testing.T) {
	t.Parallel()
	src, _ := newSource(t)
	dst, dir, _ := newTree(t)
	owner := func(uint32, uint32) (int, int) { return os.Getuid(), os.Getgid() }
	if err := dst.CopyFrom(t.Context(), "etc/copy", src, "a/file", owner); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "etc/copy"))
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != os.Getuid() {
		t.Errorf("%v, %v", info, err)
	}
}

// TestCopyFromStaysInside copies into a tree that has links out of it where
// directories and files are to be made.
func TestCopyFromStaysInside(t *testing.T) {
	t.Parallel()
	src, _ := newSource(t)
	dst, dir, outside := newTree(t)
	for name, target := range map[string]string{
		"way":   filepath.Dir(outside),
		"etc/b": "../../outside", "etc/deep": filepath.Dir(outside), "etc/file": outside,
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	_ = dst.CopyFrom(t.Context(), "way/outside", src, "a/file", same)
	if err := dst.CopyFrom(t.Context(), "etc/b", src, "a/file", same); err != nil {
		t.Errorf("over a link: %v", err)
	}
	if err := dst.CopyFrom(t.Context(), "etc", src, "a", same); err == nil {
		t.Error("a directory was merged into a link")
	}
	if data, err := os.ReadFile(outside); err != nil || string(data) != "outside" {
		t.Errorf("the file outside is now %q, %v", data, err)
	}
	entries, err := os.ReadDir(filepath.Dir(outside))
	if err != nil || len(entries) != 2 {
		t.Errorf("beside the tree: %v, %v", entries, err)
	}
}

func TestCopyFromRefuses(t *testing.T) {
	t.Parallel()
	src, dir := newSource(t)
	inner, err := intree.Open(filepath.Join(dir, "a/deep"))
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	if err := inner.CopyFrom(t.Context(), "copy", src, "a", same); err == nil {
		t.Error("a tree was copied into itself")
	}
	if err := inner.CopyFrom(t.Context(), "copy", src, "missing", same); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := inner.CopyFrom(ctx, "copy", src, "a/file", same); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context: %v", err)
	}
}

func TestWriteFileOwned(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	tree, dir, _ := newTree(t)
	if err := tree.WriteFileOwned("etc/owned", []byte("x"), 0o600, 12, 34); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "etc/owned"))
	if stat := info.Sys().(*syscall.Stat_t); err != nil || stat.Uid != 12 || stat.Gid != 34 || info.Mode() != 0o600 {
		t.Errorf("%v, %+v, %v", info, stat, err)
	}
}
