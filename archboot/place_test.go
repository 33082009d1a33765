package archboot_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
	"golang.org/x/sys/unix"
)

// mountAt mounts on a new directory, until the test ends.
func mountAt(t *testing.T, source, kind string, flags uintptr, data string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount(source, dir, kind, flags, data); err != nil {
		t.Fatalf("mount %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// TestRootOnBadMount: options under which no machine can run are refused before
// anything is fetched.
func TestRootOnBadMount(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	for name, flag := range map[string]uintptr{"noexec": unix.MS_NOEXEC, "nodev": unix.MS_NODEV, "nosuid": unix.MS_NOSUID, "read-only": unix.MS_RDONLY} {
		t.Run(name, func(t *testing.T) {
			root := mountAt(t, "tmpfs", "tmpfs", flag, "")
			err := archboot.Bootstrap(t.Context(), root, configFor(m))
			if !errors.Is(err, archboot.ErrBadRoot) || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v", err)
			}
			assertEmpty(t, root)
		})
	}
	if n := len(m.Requests()); n > 0 {
		t.Errorf("the mirror was asked %d times", n)
	}
}

// fatDrivers mount a FAT file system from an image: the kernel's, and that of FUSE for
// kernels without. FUSE mounts are nosuid and nodev where nothing is said.
var fatDrivers = [][]string{
	{"mount", "-t", "vfat", "-o", "loop"},
	{"fusefat", "-o", "rw+,suid,dev"},
}

func TestRootOnFAT(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	if _, err := exec.LookPath("mkfs.vfat"); err != nil {
		t.Skip("mkfs.vfat is missing (package dosfstools)")
	}
	seen := 0
	for _, driver := range fatDrivers {
		image, root := filepath.Join(t.TempDir(), "image"), t.TempDir()
		if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20)); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs.vfat", image).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := exec.Command(driver[0], append(driver[1:len(driver):len(driver)], image, root)...).CombinedOutput(); err != nil {
			t.Logf("%q: %v %s", driver, err, out)
			continue
		}
		seen++
		err := archboot.Bootstrap(t.Context(), root, configFor(m))
		if !errors.Is(err, archboot.ErrBadRoot) {
			t.Errorf("%q: got %v, want %v", driver, err, archboot.ErrBadRoot)
		}
		t.Logf("%q: %v", driver, err)
		assertEmpty(t, root)
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}
	if seen == 0 {
		t.Skip("this kernel has no FAT, and there is no fusefat")
	}
}

// TestFullDisk lets the disk be full at different moments: when there is no room for
// the packages, and when pacman's sum says there is some and there is not.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := bootstrapConfig(debianMirror(t, ""))
	tarball := c
	tarball.Source = archboot.Source{Method: archboot.MethodTarball, Tarball: debianMirror(t, "").BootstrapURL(), Fingerprints: []string{debianMirror(t, "").Fingerprint()}}
	base := baseIn(t, t.TempDir(), configFor(synthetic(t)))
	fill, err := os.Create(filepath.Join(base, "usr/fill"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fill.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	fill.Close()
	clone := configFor(synthetic(t))
	clone.Source.Base = base
	cached := c
	cached.CacheDir = t.TempDir()
	for name, test := range map[string]struct {
		config archboot.Config
		size   string
	}{
		"no room for packages":   {c, "size=20m"},
		"no room to install":     {c, "size=150m"},
		"no room for databases":  {c, "size=64k"},
		"no room for anything":   {c, "nr_inodes=8"},
		"no room after download": {cached, "size=100m"},
		"few inodes":             {cached, "size=1g,nr_inodes=3000"},
		"no room for tools":      {tarball, "size=100m"},
		"no room for a clone":    {clone, "size=4m"},
	} {
		t.Run(name, func(t *testing.T) {
			root := mountAt(t, "tmpfs", "tmpfs", 0, test.size)
			err := archboot.Bootstrap(t.Context(), root, test.config)
			if !errors.Is(err, archboot.ErrNoSpace) {
				t.Errorf("got %v, want %v", err, archboot.ErrNoSpace)
			}
			assertEmpty(t, root)
		})
	}
}

// TestCacheDirInRoot: what is to outlive the root must not be in it.
func TestCacheDirInRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	root := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, filepath.Join(root, "var/cache"), link} {
		c := configFor(m)
		c.CacheDir = dir
		if err := archboot.Bootstrap(t.Context(), root, c); !errors.Is(err, archboot.ErrInvalid) {
			t.Errorf("%s: got %v", dir, err)
		}
		assertEmpty(t, root)
	}
}

// TestOddPaths: blanks, which pacman.conf(5) has no way to quote, do not lead to other
// directories.
func TestOddPaths(t *testing.T) {
	t.Parallel()
	needRoot(t)
	parent := t.TempDir()
	c := configFor(synthetic(t))
	for root, cache := range map[string]string{"root \t": filepath.Join(parent, "the cache "), "my root": ""} {
		root, c.CacheDir = filepath.Join(parent, root), cache
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
			t.Error(err)
		}
		assertNoTrace(t, root, "")
	}
	if packages, err := filepath.Glob(filepath.Join(parent, "the cache ", "*.zst")); err != nil || len(packages) != 2 {
		t.Errorf("the cache: %q, %v", packages, err)
	}
	assertAlone(t, parent, "my root", "root \t", "the cache ")
}

// TestFullCache: a package cache without room says so, and nothing in it is lost.
func TestFullCache(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := bootstrapConfig(debianMirror(t, ""))
	c.CacheDir = mountAt(t, "tmpfs", "tmpfs", 0, "size=20m")
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); !errors.Is(err, archboot.ErrNoSpace) {
		t.Errorf("got %v, want %v", err, archboot.ErrNoSpace)
	}
	assertEmpty(t, root)
}

// TestFullDownloadDirectory: it is the disk that is at fault, not the server.
func TestFullDownloadDirectory(t *testing.T) {
	needRoot(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 2<<20)) }))
	t.Cleanup(server.Close)
	c := configFor(synthetic(t))
	c.Source = archboot.Source{Method: archboot.MethodTarball, Tarball: server.URL, Unsigned: true, SHA256: strings.Repeat("0", 64)}
	root := t.TempDir()
	t.Setenv("TMPDIR", mountAt(t, "tmpfs", "tmpfs", 0, "size=1m"))
	err := archboot.Bootstrap(t.Context(), root, c)
	if !errors.Is(err, archboot.ErrNoSpace) || errors.Is(err, archboot.ErrMirror) {
		t.Errorf("got %v, want %v", err, archboot.ErrNoSpace)
	}
	assertEmpty(t, root)
}
