package snapshot

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// needRoot skips a test that makes mounts, loop devices or subvolumes.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a file system")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices: no /dev/loop-control")
	}
	if _, err := findMkfs("mkfs.btrfs", "/usr/sbin/mkfs.btrfs"); err != nil {
		t.Skip("needs mkfs.btrfs: install btrfs-progs")
	}
}

// newPool mounts a btrfs of the test's own, and checks at the end that nothing of it
// is left.
func newPool(t testing.TB, size int64) *Pool {
	t.Helper()
	needRoot(t)
	return newPoolIn(t, t.TempDir(), size)
}

func newPoolIn(t testing.TB, dir string, size int64) *Pool {
	t.Helper()
	p, err := CreatePool(t.Context(), filepath.Join(dir, "pool"), size, filepath.Join(dir, "mnt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
		nothingLeft(t, dir)
	})
	return p
}

// nothingLeft fails if a file, mount or loop device remains below dir.
func nothingLeft(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", dir, left, err)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil || len(mounts) > 0 {
		t.Errorf("mounts left below %s: %v, %v", dir, mounts, err)
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, b := range backing {
		if text, _ := os.ReadFile(b); strings.HasPrefix(string(text), dir+"/") {
			t.Errorf("%s is still attached to %s", b, text)
		}
	}
}

// newStore opens a store on a btrfs of the test's own.
func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, newPool(t, 256<<20).Dir(), Options{})
}

func openStore(t testing.TB, dir string, opts Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newVolume(t testing.TB, s *Store, name string) *Volume {
	t.Helper()
	v, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func take(t testing.TB, v *Volume, name string, md Metadata) Snapshot {
	t.Helper()
	s, err := v.Snapshot(t.Context(), name, md)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree lists the paths and contents below dir, sorted.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		line, _ := filepath.Rel(dir, path)
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += "=" + string(text)
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(list)
	return list
}

// wantErr fails unless err is an *Error that matches want.
func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e != err {
		t.Errorf("error %v is a %T, want *Error", err, err)
	}
	if !errors.Is(err, want) {
		t.Errorf("error %v, want one that is %q", err, want)
	}
}

// noLeftovers fails if the store's journal or workshop is not empty.
func noLeftovers(t testing.TB, s *Store) {
	t.Helper()
	for _, d := range []string{"journal", "work"} {
		left, err := os.ReadDir(s.state(d))
		if err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", d, left, err)
		}
	}
	if s.driver.Name() != "overlay" {
		return
	}
	l := layers(s.state("overlay", "layers"))
	used, err := l.used()
	if err != nil {
		t.Error(err)
	}
	have, _ := os.ReadDir(string(l))
	for _, e := range have {
		if used[e.Name()] == 0 && e.Name() != ".empty" {
			t.Errorf("layer %s is left", e.Name())
		}
	}
}

// subvolumes lists the subvolumes of the file system at dir by the program's account.
func subvolumes(t testing.TB, dir string) string {
	t.Helper()
	out, err := exec.Command("btrfs", "subvolume", "list", "-o", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func readOnly(t testing.TB, path string) bool {
	t.Helper()
	return errors.Is(unix.Access(path, unix.W_OK), unix.EROFS)
}

// newTmpfs mounts a file system of the test's own that is fast to make durable.
func newTmpfs(t testing.TB) string {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unmountBelow(t, dir)
		nothingLeft(t, dir)
	})
	return dir
}

// unmountBelow unmounts what the volumes of an overlay store have mounted.
func unmountBelow(t testing.TB, dir string) {
	t.Helper()
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		t.Error(err)
	}
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m.Mountpoint, 0); err != nil {
			t.Errorf("unmount %s: %v", m.Mountpoint, err)
		}
	}
}
