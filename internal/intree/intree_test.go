package intree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/intree"
)

// newTree returns an open tree and, beside it, a file that nothing may reach.
func newTree(t *testing.T) (tree *intree.Tree, dir, outside string) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "root")
	outside = filepath.Join(top, "outside")
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := intree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree, dir, outside
}

func TestWriteThenRead(t *testing.T) {
	t.Parallel()
	tree, dir, _ := newTree(t)
	if err := tree.MkdirAll("/srv/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tree.WriteFile("srv/a/b/f", []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := tree.WriteFile("/srv/a/b/f", []byte("two"), 0o444); err != nil {
		t.Fatal(err)
	}
	got, err := tree.ReadFile("/srv/a/b/f")
	if err != nil || string(got) != "two" {
		t.Fatalf("ReadFile = %q, %v", got, err)
	}
	info, err := tree.Stat("/srv/a/b/f")
	if err != nil || info.Mode() != 0o444 {
		t.Errorf("Stat = %v, %v", info, err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "srv/a/b"))
	if err != nil || len(entries) != 1 {
		t.Errorf("left beside the file: %v, %v", entries, err)
	}
}

func TestSymlinksResolveInside(t *testing.T) {
	t.Parallel()
	tree, dir, outside := newTree(t)
	for link, target := range map[string]string{
		"abs":          "/etc",
		"up":           "../../../../etc",
		"etc/absolute": outside,
		"etc/climb":    "../../outside",
		"etc/proc":     "/proc/self/root" + outside,
		"loop":         "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"abs/f", "up/g", "../../etc/h", "/../etc/i"} {
		if err := tree.WriteFile(name, []byte("in"), 0o600); err != nil {
			t.Errorf("WriteFile(%s): %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "etc", filepath.Base(name))); err != nil {
			t.Errorf("%s did not land in the tree's etc: %v", name, err)
		}
	}
	for _, name := range []string{"etc/absolute", "etc/climb", "etc/proc", "../outside", "/../outside", "abs/../../outside"} {
		if got, err := tree.ReadFile(name); err == nil && string(got) == "outside" {
			t.Errorf("ReadFile(%s) read the file outside", name)
		}
		_, err := tree.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil && strings.HasPrefix(name, "etc/") {
			t.Errorf("OpenFile(%s, O_CREATE) followed a dangling symlink", name)
		}
		if err := tree.WriteFile(name, []byte("mine"), 0o600); err != nil {
			t.Errorf("WriteFile(%s): %v", name, err)
		}
	}
	if _, err := tree.Stat("loop"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("Stat(loop) = %v, want ELOOP", err)
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "outside" {
		t.Errorf("the file outside is now %q, %v", got, err)
	}
}

func TestSpecialFilesNeverOpen(t *testing.T) {
	t.Parallel()
	tree, dir, _ := newTree(t)
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fifo", "etc"} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE} {
			if _, err := tree.OpenFile(name, flag, 0o600); !errors.Is(err, intree.ErrNotRegular) {
				t.Errorf("OpenFile(%s, %#x) = %v, want ErrNotRegular", name, flag, err)
			}
		}
	}
	if err := tree.WriteFile("fifo", []byte("now a file"), 0o600); err != nil {
		t.Errorf("WriteFile over a fifo: %v", err)
	}
	if err := tree.WriteFile("etc", nil, 0o600); err == nil {
		t.Error("WriteFile over a directory succeeded")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tree, dir, _ := newTree(t)
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	open := func(name string, flag int) error {
		f, err := tree.OpenFile(name, flag, 0o600)
		if err == nil {
			f.Close()
		}
		return err
	}
	for _, test := range []struct {
		what string
		err  error
		want error
	}{
		{"missing file", open("missing", os.O_RDONLY), fs.ErrNotExist},
		{"missing parent", tree.WriteFile("no/such/f", nil, 0o600), fs.ErrNotExist},
		{"exclusive create of an existing name", open("etc", os.O_CREATE|os.O_EXCL), fs.ErrExist},
		{"create through a dangling symlink", open("dangling", os.O_CREATE|os.O_WRONLY), fs.ErrExist},
		{"mkdir over a dangling symlink", tree.MkdirAll("dangling/x", 0o755), fs.ErrExist},
		{"symlink over a directory", tree.Symlink("x", "etc"), fs.ErrExist},
		{"write to the top", tree.WriteFile("/", nil, 0o600), fs.ErrInvalid},
		{"write to ..", tree.WriteFile("etc/..", nil, 0o600), fs.ErrInvalid},
		{"remove a missing name", tree.Remove("missing"), fs.ErrNotExist},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", test.what, test.err, test.want)
		}
		var pathErr *fs.PathError
		if !errors.As(test.err, &pathErr) {
			t.Errorf("%s: %T is no *fs.PathError", test.what, test.err)
		}
	}
	if _, err := intree.Open(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a missing tree: %v", err)
	}
}

func TestSymlinkAndRemove(t *testing.T) {
	t.Parallel()
	tree, dir, outside := newTree(t)
	for range 2 { // the second is the same link again
		if err := tree.Symlink("../run/resolv.conf", "etc/resolv.conf"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := tree.Readlink("etc/resolv.conf"); err != nil || got != "../run/resolv.conf" {
		t.Errorf("Readlink = %q, %v", got, err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(dir, "etc/out")); err != nil {
		t.Fatal(err)
	}
	if err := tree.RemoveAll("etc"); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Lstat("etc"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("etc is still there: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("RemoveAll went through a symlink: %v", err)
	}
	if err := tree.RemoveAll("etc/deeper/still"); err != nil {
		t.Errorf("RemoveAll of a missing name: %v", err)
	}
}

func FuzzPathsStayInside(f *testing.F) {
	for _, seed := range []string{"a", "../a", "/../../a", "l/../a", "l/l/a", "./.././a", "a/", "//", "\x00", "l/../../../outside"} {
		f.Add(seed)
	}
	top := f.TempDir()
	dir := filepath.Join(top, "root")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink("../..", filepath.Join(dir, "l")); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		tree, err := intree.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tree.Close()
		if tree.MkdirAll(filepath.Dir(name), 0o755) == nil {
			_ = tree.WriteFile(name, []byte("x"), 0o600)
		}
		entries, err := os.ReadDir(top)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%q wrote beside the root: %v, %v", name, entries, err)
		}
	})
}

// TestUmask is not parallel, since all that the process makes has the umask.
func TestUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	tree, dir, _ := newTree(t)
	if err := os.Mkdir(filepath.Join(dir, "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tree.MkdirAll("old/a/b", 0o755), tree.WriteFile("old/a/f", nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"old": 0o700, "old/a": 0o755, "old/a/b": 0o755, "old/a/f": 0o644} {
		if info, err := tree.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %v", name, info, err, want)
		}
	}
}

// TestMkdirAllAtOnce has several make the same directories.
func TestMkdirAllAtOnce(t *testing.T) {
	t.Parallel()
	tree, _, _ := newTree(t)
	for round := range 200 {
		name := "/" + strconv.Itoa(round) + "/a/b"
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := tree.MkdirAll(name, 0o755); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
