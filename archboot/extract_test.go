package archboot

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// archive makes a tar archive; regular files hold their own name.
func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Format = tar.FormatPAX
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1_500_000_000, 123)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func dir(name string) tar.Header  { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
func file(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg} }
func symlink(name, to string) tar.Header {
	return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
}
func hardlink(name, to string) tar.Header {
	return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink}
}

func compressed(t *testing.T, plain []byte) map[string][]byte {
	t.Helper()
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Write(plain); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{"plain": plain, "gzip": gz.Bytes(), "zstd": zs.Bytes()}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("giving files to other users needs root privileges")
	}
	setuid := file("root.x86_64/usr/bin/su")
	setuid.Mode, setuid.Uid, setuid.Gid = 0o4755, 0, 12
	ping := file("root.x86_64/usr/bin/ping")
	ping.PAXRecords = map[string]string{
		"SCHILY.xattr.security.capability":    "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"SCHILY.xattr.trusted.overlay.opaque": "y", // not for an archive to set
	}
	tmp := dir("root.x86_64/tmp/")
	tmp.Mode = 0o1777
	data := archive(t, file("pkglist.x86_64.txt"), dir("root.x86_64/"), dir("root.x86_64/usr"), dir("root.x86_64/usr/bin"), tmp,
		setuid, ping, symlink("root.x86_64/bin", "usr/bin"), hardlink("root.x86_64/usr/bin/sg", "root.x86_64/usr/bin/su"),
		file("root.x86_64/usr/bin/twice"), file("./root.x86_64/usr/bin/twice"))
	for name, data := range compressed(t, data) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := extract(t.Context(), bytes.NewReader(data), root, "root.x86_64"); err != nil {
				t.Fatal(err)
			}
			m, err := ReadManifest(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			byPath := map[string]Entry{}
			for _, e := range m.Files {
				byPath[e.Path] = e
			}
			if len(byPath) != 8 {
				t.Errorf("%d entries: %v", len(byPath), m.Files)
			}
			if e := byPath["/usr/bin/su"]; e.Mode != 0o755|fs.ModeSetuid || e.GID != 12 {
				t.Errorf("setuid: %v", e)
			}
			if e := byPath["/usr/bin/ping"]; e.Capability != "0100000200200000000000000000000000000000" {
				t.Errorf("capability: %v", e)
			}
			if e := byPath["/tmp"]; e.Mode != 0o777|fs.ModeDir|fs.ModeSticky {
				t.Errorf("sticky: %v", e)
			}
			if e := byPath["/bin"]; e.Target != "usr/bin" {
				t.Errorf("symlink: %v", e)
			}
			a, _ := os.Stat(root + "/usr/bin/su")
			b, _ := os.Stat(root + "/usr/bin/sg")
			if !os.SameFile(a, b) {
				t.Error("the hard link is another file")
			}
			for _, name := range []string{"/usr", "/usr/bin", "/usr/bin/su", "/bin"} {
				info, err := os.Lstat(root + name)
				if err != nil || !info.ModTime().Equal(time.Unix(1_500_000_000, 123)) {
					t.Errorf("%s: time %v, %v", name, info.ModTime(), err)
				}
			}
		})
	}
}

func TestExtractHostile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("giving files to other users needs root privileges")
	}
	for name, headers := range map[string][]tar.Header{
		"dot dot":                  {file("r/../../escaped")},
		"dot dot at the end":       {dir("r/a"), dir("r/a/..")},
		"through a symlink":        {symlink("r/a", ".."), file("r/a/escaped")},
		"through an absolute one":  {symlink("r/a", "/"), file("r/a/escaped")},
		"directory over a symlink": {symlink("r/a", ".."), dir("r/a"), file("r/a/escaped")},
		"deep symlink":             {dir("r/d"), symlink("r/d/a", "../.."), file("r/d/a/escaped")},
		"hard link outside":        {hardlink("r/a", "/etc/passwd")},
		"hard link dot dot":        {hardlink("r/a", "r/../../../etc/passwd")},
		"hard link via symlink":    {symlink("r/e", "/etc"), hardlink("r/a", "r/e/passwd")},
		"device":                   {{Name: "r/sda", Typeflag: tar.TypeBlock, Devmajor: 8}},
		"fifo":                     {{Name: "r/fifo", Typeflag: tar.TypeFifo}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outer := t.TempDir()
			root := filepath.Join(outer, "in")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			err := extract(t.Context(), bytes.NewReader(archive(t, headers...)), root, "r")
			if !errors.Is(err, ErrHostile) && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.ELOOP) {
				t.Errorf("got %v", err)
			}
			if entries, _ := os.ReadDir(outer); len(entries) != 1 {
				t.Errorf("escaped: %v", entries)
			}
			if _, err := os.Lstat("/escaped"); err == nil {
				t.Error("escaped to /")
			}
		})
	}
}

func TestExtractReplacesSymlink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("giving files to other users needs root privileges")
	}
	outer := t.TempDir()
	precious := filepath.Join(outer, "precious")
	if err := os.WriteFile(precious, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(outer, "in")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	data := archive(t, symlink("r/a", precious), file("r/a"))
	if err := extract(t.Context(), bytes.NewReader(data), root, "r"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(precious); string(got) != "mine" {
		t.Errorf("a file outside was written: %q", got)
	}
}

func TestExtractDamaged(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("giving files to other users needs root privileges")
	}
	all := compressed(t, archive(t, dir("r/d"), file("r/d/a"), file("r/d/b")))
	for name, data := range all {
		for _, n := range []int{0, 1, 3, len(data)/3 + 1} {
			if err := extract(t.Context(), bytes.NewReader(data[:n]), t.TempDir(), "r"); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut to %d bytes: %v", name, n, err)
			}
		}
	}
	if err := extract(t.Context(), bytes.NewReader(all["zstd"]), t.TempDir(), "other"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("nothing below the prefix: %v", err)
	}
}
