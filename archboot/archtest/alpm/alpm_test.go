package alpm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/prologin/rig/archboot/archtest/alpm"
	"github.com/prologin/rig/internal/golden"
)

// sample has one of everything.
func sample() alpm.Package {
	return alpm.Package{
		Name: "sample", Version: "2:1.0-3", Description: "One of everything", URL: "https://example.invalid/",
		Arch: "x86_64", Packager: "Somebody <somebody@example.invalid>", BuildDate: time.Unix(1_700_000_000, 0),
		Licenses: []string{"MIT"}, Groups: []string{"samples"}, Depends: []string{"glibc", "bash>=5"},
		OptDepends: []string{"vim: to look at it"}, Provides: []string{"example=1.0"}, Conflicts: []string{"other"},
		Replaces: []string{"old-sample"}, Backup: []string{"etc/sample.conf"},
		Install: "post_install() {\n\ttrue\n}\n",
		Files: []alpm.File{
			{Path: "usr/bin/sample", Mode: fs.ModeSetuid | 0o755, Data: []byte("#!/bin/sh\n"),
				Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02"}},
			{Path: "usr/bin/alias", Mode: fs.ModeSymlink, Target: "sample"},
			{Path: "etc/sample.conf", Mode: 0o640, GID: 33, Data: []byte("a = b\n")},
			{Path: "var/lib/sample", Mode: fs.ModeDir | fs.ModeSticky | 0o777, UID: 88},
			{Path: "usr/share/a name#with=odd\\bytes", Mode: 0o644},
		},
	}
}

// describe lists an archive's entries, and the text of its metadata.
func describe(t *testing.T, archive io.Reader) string {
	t.Helper()
	var b strings.Builder
	r := tar.NewReader(archive)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%c %04o %d:%d %d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Size, h.Name)
		if h.Linkname != "" {
			fmt.Fprintf(&b, " -> %s", h.Linkname)
		}
		if x := h.PAXRecords["SCHILY.xattr.security.capability"]; x != "" {
			fmt.Fprintf(&b, " capability=%x", x)
		}
		b.WriteByte('\n')
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == ".MTREE" {
			zip, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(zip); err != nil {
				t.Fatal(err)
			}
		}
		if len(data) > 0 {
			fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(strings.TrimSuffix(string(data), "\n"), "\n", "\n    "))
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	var archive bytes.Buffer
	entry, err := alpm.Write(&archive, sample())
	if err != nil {
		t.Fatal(err)
	}
	if want := "sample-2:1.0-3-x86_64.pkg.tar.zst"; entry.FileName != want {
		t.Errorf("file name %q, want %q", entry.FileName, want)
	}
	if entry.CompressedSize != int64(archive.Len()) {
		t.Errorf("entry says %d bytes of %d", entry.CompressedSize, archive.Len())
	}
	if sum := sha256.Sum256(archive.Bytes()); entry.SHA256 != fmt.Sprintf("%x", sum) {
		t.Errorf("entry says SHA-256 %s of %x", entry.SHA256, sum)
	}
	zip, err := zstd.NewReader(&archive)
	if err != nil {
		t.Fatal(err)
	}
	defer zip.Close()
	golden.Equal(t, filepath.Join("testdata", "package.golden"), describe(t, zip))
}

func TestWriteIsReproducible(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	p := sample()
	if _, err := alpm.Write(&first, p); err != nil {
		t.Fatal(err)
	}
	p.Files[0], p.Files[3] = p.Files[3], p.Files[0]
	if _, err := alpm.Write(&second, p); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same files in another order give another archive")
	}
}

func TestWriteFromSource(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(source, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	fromData, fromSource := sample(), sample()
	fromData.Files = []alpm.File{{Path: "f", Mode: 0o644, Data: []byte("from a file")}}
	fromSource.Files = []alpm.File{{Path: "f", Mode: 0o644, Source: source}}
	var a, b bytes.Buffer
	if _, err := alpm.Write(&a, fromData); err != nil {
		t.Fatal(err)
	}
	if _, err := alpm.Write(&b, fromSource); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("Data and Source of the same content give different archives")
	}
	fromSource.Files[0].Source += "-missing"
	if _, err := alpm.Write(io.Discard, fromSource); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing source: got %v, want fs.ErrNotExist", err)
	}
}

func TestDatabases(t *testing.T) {
	t.Parallel()
	var entries []alpm.Entry
	for _, p := range []alpm.Package{sample(), {Name: "empty", Version: "1-1"}} {
		e, err := alpm.Write(io.Discard, p)
		if err != nil {
			t.Fatal(err)
		}
		e.SHA256, e.CompressedSize = "digest", 1000 // those of a compressor are no format
		entries = append(entries, e)
	}
	for name, write := range map[string]func(io.Writer, []alpm.Entry) error{
		"database.golden": alpm.WriteDatabase,
		"files.golden":    alpm.WriteFilesDatabase,
	} {
		var b bytes.Buffer
		if err := write(&b, entries); err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		golden.Equal(t, filepath.Join("testdata", name), describe(t, zip))
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	with := func(edit func(*alpm.Package)) alpm.Package {
		p := sample()
		edit(&p)
		return p
	}
	file := func(f alpm.File) alpm.Package {
		return with(func(p *alpm.Package) { p.Files = append(p.Files, f) })
	}
	for name, p := range map[string]alpm.Package{
		"no name":              with(func(p *alpm.Package) { p.Name = "" }),
		"name with a slash":    with(func(p *alpm.Package) { p.Name = "../x" }),
		"name with a hyphen":   with(func(p *alpm.Package) { p.Name = "-x" }),
		"no release":           with(func(p *alpm.Package) { p.Version = "1.0" }),
		"two releases":         with(func(p *alpm.Package) { p.Version = "1.0-1-1" }),
		"epoch no number":      with(func(p *alpm.Package) { p.Version = "x:1.0-1" }),
		"slash in version":     with(func(p *alpm.Package) { p.Version = "1/0-1" }),
		"slash in arch":        with(func(p *alpm.Package) { p.Arch = "x/y" }),
		"two lines":            with(func(p *alpm.Package) { p.Description = "a\nb" }),
		"two lines in a list":  with(func(p *alpm.Package) { p.Depends = []string{"a\nb"} }),
		"absolute path":        file(alpm.File{Path: "/etc/x", Mode: 0o644}),
		"path that climbs":     file(alpm.File{Path: "etc/../../x", Mode: 0o644}),
		"path twice":           file(alpm.File{Path: "etc/sample.conf", Mode: 0o644}),
		"metadata":             file(alpm.File{Path: ".INSTALL", Mode: 0o644}),
		"device":               file(alpm.File{Path: "dev/x", Mode: fs.ModeDevice | 0o644}),
		"link without target":  file(alpm.File{Path: "usr/x", Mode: fs.ModeSymlink}),
		"newline in file name": file(alpm.File{Path: "usr/x\ny", Mode: 0o644}),
	} {
		if err := p.Validate(); !errors.Is(err, alpm.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
		if _, err := alpm.Write(io.Discard, p); !errors.Is(err, alpm.ErrInvalid) {
			t.Errorf("%s: Write: got %v, want ErrInvalid", name, err)
		}
	}
	if err := sample().Validate(); err != nil {
		t.Errorf("valid package: %v", err)
	}
}
