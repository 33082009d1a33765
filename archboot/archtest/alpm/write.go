package alpm

import (
	"archive/tar"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Write writes the package as a .pkg.tar.zst archive and returns its database
// entry. It reads each File.Source twice, first for the digests in .MTREE: the files
// must not change meanwhile. Parent directories that are not listed are added with mode
// 0755 and owner root. A package that Validate refuses is [ErrInvalid].
func Write(w io.Writer, p Package) (Entry, error) {
	if err := p.Validate(); err != nil {
		return Entry{}, err
	}
	entry, err := write(w, p)
	if err != nil {
		return Entry{}, fmt.Errorf("write package %s: %w", p.Name, err)
	}
	return entry, nil
}

func write(w io.Writer, p Package) (Entry, error) {
	files := p.sorted()
	metadata, installed, err := p.metadata(files)
	if err != nil {
		return Entry{}, err
	}
	counted := &counter{w: w}
	digest := sha256.New()
	if err := writeArchive(io.MultiWriter(counted, digest), append(metadata, files...)); err != nil {
		return Entry{}, err
	}
	entry := Entry{
		Package:        p,
		FileName:       p.FileName(),
		CompressedSize: counted.n,
		InstalledSize:  installed,
		SHA256:         hex.EncodeToString(digest.Sum(nil)),
	}
	entry.Files = files
	return entry, nil
}

// WriteTar writes files into a tar archive, in path order and with the parent
// directories that are not listed, as mode 0755 and root's.
func WriteTar(w io.Writer, files []File) error {
	return writeTar(w, Package{Files: files}.sorted())
}

func writeArchive(w io.Writer, files []File) error {
	packed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	if err := writeTar(packed, files); err != nil {
		return err
	}
	return packed.Close()
}

func writeTar(w io.Writer, files []File) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		if err := f.writeTar(archive); err != nil {
			return err
		}
	}
	return archive.Close()
}

// metadata makes the files with a leading dot that come first in an archive.
func (p Package) metadata(files []File) ([]File, int64, error) {
	dot := func(name string, data []byte) File {
		return File{Path: name, Mode: 0o644, Data: data, ModTime: p.buildDate()}
	}
	listed, size, err := mtree(files)
	if err != nil {
		return nil, 0, err
	}
	metadata := []File{dot(".PKGINFO", p.pkginfo(size))}
	if p.Install != "" {
		metadata = append(metadata, dot(".INSTALL", []byte(p.Install)))
	}
	return append(metadata, dot(".MTREE", listed)), size, nil
}

// sorted returns the files in path order with their missing parents, times set.
func (p Package) sorted() []File {
	byPath := make(map[string]File, len(p.Files))
	for _, f := range p.Files {
		if f.ModTime.IsZero() {
			f.ModTime = p.buildDate()
		}
		byPath[f.Path] = f
	}
	for _, f := range p.Files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if _, ok := byPath[dir]; !ok {
				byPath[dir] = File{Path: dir, Mode: fs.ModeDir | 0o755, ModTime: p.buildDate()}
			}
		}
	}
	files := make([]File, 0, len(byPath))
	for _, f := range byPath {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return files
}

func (f File) writeTar(w *tar.Writer) error {
	header := &tar.Header{
		Name:    f.Path,
		Mode:    int64(unixMode(f.Mode)),
		Uid:     f.UID,
		Gid:     f.GID,
		ModTime: f.ModTime.Truncate(time.Second),
		Format:  tar.FormatPAX,
	}
	for name, value := range f.Xattrs {
		if header.PAXRecords == nil {
			header.PAXRecords = map[string]string{}
		}
		header.PAXRecords["SCHILY.xattr."+name] = value
	}
	switch {
	case f.Mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, f.Path+"/"
		return w.WriteHeader(header)
	case f.Mode&fs.ModeSymlink != 0:
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.Target, 0o777
		return w.WriteHeader(header)
	}
	r, size, err := f.open()
	if err != nil {
		return err
	}
	defer r.Close()
	header.Typeflag, header.Size = tar.TypeReg, size
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
