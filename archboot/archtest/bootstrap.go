package archtest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prologin/rig/archboot/archtest/alpm"
)

const (
	bootstrapFile = "archlinux-bootstrap-" + arch + ".tar.zst"
	bootstrapGzip = "archlinux-bootstrap-" + arch + ".tar.gz"
	bootstrapDir  = "iso/latest"
	bootstrapTop  = "root." + arch // the directory that everything in the tarball is in
)

// BootstrapURL is where the bootstrap tarball is: a root with base installed, for
// hosts without pacman, as Arch publishes it. Its detached signature is at the same
// URL with ".sig" appended, and its digest in sha256sums.txt beside it; so is the
// same tarball as .tar.gz, the form of earlier years. It is empty for a synthetic
// mirror. As on Arch's mirrors, nothing is set up in the tree: there
// is no keyring, no server in the mirror list and no machine-id.
func (m *Mirror) BootstrapURL() string {
	if m.opts.Suite == Synthetic {
		return ""
	}
	return m.URL + "/" + bootstrapDir + "/" + bootstrapFile
}

// writeBootstrap makes the tarball of base and what that needs, out of the packages
// and without running anything of them.
func (w *repoWriter) writeBootstrap(www string, entries []alpm.Entry) error {
	dir := filepath.Join(www, bootstrapDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, list, err := tree(closure(entries, "base"))
	if err != nil {
		return err
	}
	// The version of the local database's form, since pacman 4.2.
	files = append(files, alpm.File{Path: bootstrapTop + "/var/lib/pacman/local/ALPM_DB_VERSION",
		Mode: 0o644, Data: []byte("9\n")}, alpm.File{Path: "pkglist." + arch + ".txt", Mode: 0o644, Data: list})
	sums, err := packTwice(dir, files)
	if err != nil {
		return err
	}
	for _, name := range []string{bootstrapFile, bootstrapGzip} {
		if err := w.signFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return w.writeSigned(filepath.Join(dir, "sha256sums.txt"), sums)
}

// packTwice writes the tarball in both forms, reading the files once, and returns
// their checksums as sha256sum(1) prints them.
func packTwice(dir string, files []alpm.File) ([]byte, error) {
	zstdFile, err := newSummed(dir, bootstrapFile)
	if err != nil {
		return nil, err
	}
	defer zstdFile.Close()
	gzipFile, err := newSummed(dir, bootstrapGzip)
	if err != nil {
		return nil, err
	}
	defer gzipFile.Close()
	byZstd, err := zstd.NewWriter(zstdFile, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	byGzip, err := gzip.NewWriterLevel(gzipFile, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if err := alpm.WriteTar(io.MultiWriter(byZstd, byGzip), files); err != nil {
		return nil, err
	}
	if err := errors.Join(byZstd.Close(), byGzip.Close(), zstdFile.Close(), gzipFile.Close()); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x  %s\n%x  %s\n", zstdFile.sum.Sum(nil), bootstrapFile, gzipFile.sum.Sum(nil), bootstrapGzip), nil
}

// A summed file knows the checksum of what was written to it.
type summed struct {
	*os.File
	sum hash.Hash
}

func newSummed(dir, name string) (*summed, error) {
	f, err := os.Create(filepath.Join(dir, name))
	return &summed{f, sha256.New()}, err
}

func (s *summed) Write(p []byte) (int, error) {
	s.sum.Write(p)
	return s.File.Write(p)
}

// tree lists the files of installed packages below the tarball's top directory,
// and the packages as pacman -Q prints them.
func tree(entries []alpm.Entry) ([]alpm.File, []byte, error) {
	var files []alpm.File
	var list bytes.Buffer
	for _, e := range entries {
		local, err := alpm.Installed(e, e.Name == "base")
		if err != nil {
			return nil, nil, err
		}
		for _, f := range slices.Concat(e.Files, local) {
			f.Path = bootstrapTop + "/" + f.Path
			files = append(files, f)
		}
		fmt.Fprintf(&list, "%s %s\n", e.Name, e.Version)
	}
	return files, list.Bytes(), nil
}

// closure returns the entries that a package needs, itself included.
func closure(entries []alpm.Entry, root string) []alpm.Entry {
	byName := map[string]alpm.Entry{}
	for _, e := range entries {
		byName[e.Name] = e
	}
	seen := map[string]bool{}
	var list []alpm.Entry
	var visit func(name string)
	visit = func(name string) {
		e, ok := byName[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		for _, need := range e.Depends {
			visit(need)
		}
		list = append(list, e)
	}
	visit(root)
	slices.SortFunc(list, func(a, b alpm.Entry) int { return strings.Compare(a.Name, b.Name) })
	return list
}
