package alpm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Entry is what a database says of one package file: the package and the
// archive that [Write] made of it.
type Entry struct {
	Package
	FileName       string // as the mirror serves it
	CompressedSize int64  // bytes of the archive
	InstalledSize  int64  // bytes of the files in it
	SHA256         string // hexadecimal digest of the archive
}

// WriteDatabase writes a repository database such as core.db.
func WriteDatabase(w io.Writer, entries []Entry) error {
	return writeDatabase(w, entries, false)
}

// WriteFilesDatabase writes a database such as core.files, which lists the
// files of each package as well, for pacman -F.
func WriteFilesDatabase(w io.Writer, entries []Entry) error {
	return writeDatabase(w, entries, true)
}

func writeDatabase(w io.Writer, entries []Entry, files bool) error {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	for _, e := range entries {
		dir := e.Name + "-" + e.Version + "/"
		err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir,
			Mode: 0o755, ModTime: e.buildDate(), Format: tar.FormatPAX})
		if err == nil {
			err = e.addText(archive, dir+"desc", e.desc())
		}
		if err == nil && files {
			err = e.addText(archive, dir+"files", e.files())
		}
		if err != nil {
			return fmt.Errorf("write database entry %s: %w", e.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return packed.Close()
}

func (e Entry) addText(w *tar.Writer, name string, text []byte) error {
	err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644,
		Size: int64(len(text)), ModTime: e.buildDate().Truncate(time.Second), Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

// desc renders the entry in the %KEY% form of alpm-repo-desc(5).
func (e Entry) desc() []byte {
	return sections([]section{
		{"FILENAME", []string{e.FileName}}, {"NAME", []string{e.Name}}, {"BASE", []string{e.base()}},
		{"VERSION", []string{e.Version}}, {"DESC", []string{e.Description}}, {"GROUPS", e.Groups},
		{"CSIZE", []string{fmt.Sprint(e.CompressedSize)}}, {"ISIZE", []string{fmt.Sprint(e.InstalledSize)}},
		{"SHA256SUM", []string{e.SHA256}}, {"URL", []string{e.URL}}, {"LICENSE", e.Licenses},
		{"ARCH", []string{e.arch()}}, {"BUILDDATE", []string{fmt.Sprint(e.buildDate().Unix())}},
		{"PACKAGER", []string{e.packager()}}, {"REPLACES", e.Replaces}, {"CONFLICTS", e.Conflicts},
		{"PROVIDES", e.Provides}, {"DEPENDS", e.Depends}, {"OPTDEPENDS", e.OptDepends},
	})
}

func (e Entry) files() []byte {
	var b bytes.Buffer
	b.WriteString("%FILES%\n")
	for _, f := range e.Files {
		b.WriteString(f.Path)
		if f.Mode.IsDir() {
			b.WriteByte('/')
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}
