package alpm

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Installed returns the files below var/lib/pacman/local by which pacman knows that
// the package is installed, for making a root without pacman. The package counts as
// installed on its build date, by name if explicit and else as a dependency.
func Installed(e Entry, explicit bool) ([]File, error) {
	listed, _, err := mtree(e.Files)
	if err != nil {
		return nil, err
	}
	backup, err := e.backup()
	if err != nil {
		return nil, err
	}
	dir := "var/lib/pacman/local/" + e.Name + "-" + e.Version + "/"
	file := func(name string, data []byte) File {
		return File{Path: dir + name, Mode: 0o644, Data: data, ModTime: e.buildDate()}
	}
	files := []File{
		file("desc", e.localDesc(explicit)),
		file("files", append(e.files(), backup...)),
		file("mtree", listed),
	}
	if e.Install != "" {
		files = append(files, file("install", []byte(e.Install)))
	}
	return files, nil
}

// localDesc is desc as the local database has it: with what happened here, and
// without what only a repository knows.
func (e Entry) localDesc(explicit bool) []byte {
	date := fmt.Sprint(e.buildDate().Unix())
	reason := "1"
	if explicit {
		reason = ""
	}
	return sections([]section{
		{"NAME", []string{e.Name}}, {"VERSION", []string{e.Version}}, {"BASE", []string{e.base()}},
		{"DESC", []string{e.Description}}, {"URL", []string{e.URL}}, {"ARCH", []string{e.arch()}},
		{"BUILDDATE", []string{date}}, {"INSTALLDATE", []string{date}}, {"PACKAGER", []string{e.packager()}},
		{"SIZE", []string{fmt.Sprint(e.InstalledSize)}}, {"REASON", []string{reason}}, {"GROUPS", e.Groups},
		{"LICENSE", e.Licenses}, {"VALIDATION", []string{"pgp"}}, {"REPLACES", e.Replaces},
		{"DEPENDS", e.Depends}, {"OPTDEPENDS", e.OptDepends}, {"CONFLICTS", e.Conflicts}, {"PROVIDES", e.Provides},
	})
}

// backup lists the backup files with the digests that they are installed with.
func (e Entry) backup() ([]byte, error) {
	var b bytes.Buffer
	for _, f := range e.Files {
		if !f.Mode.IsRegular() || !slices.Contains(e.Backup, f.Path) {
			continue
		}
		r, _, err := f.open()
		if err != nil {
			return nil, err
		}
		sum := md5.New()
		_, err = io.Copy(sum, r)
		r.Close()
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s\t%x\n", f.Path, sum.Sum(nil))
	}
	if b.Len() == 0 {
		return nil, nil
	}
	return append([]byte("\n%BACKUP%\n"), b.Bytes()...), nil
}

// section is one %KEY% of a database's text with its lines.
type section struct {
	key    string
	values []string
}

// sections renders the sections that have a value.
func sections(list []section) []byte {
	var b bytes.Buffer
	for _, s := range list {
		values := slices.DeleteFunc(slices.Clone(s.values), func(v string) bool { return v == "" })
		if len(values) > 0 {
			fmt.Fprintf(&b, "%%%s%%\n%s\n\n", s.key, strings.Join(values, "\n"))
		}
	}
	return b.Bytes()
}
