package alpm

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"time"
)

// Package describes one pacman package. Name and Version are required; the zero
// value of every other field is useful.
type Package struct {
	Name string
	// Version is [epoch:]version-release, such as "1:9.20.4-2".
	Version     string
	Base        string // name of the source package; default Name
	Description string
	URL         string
	Arch        string // default "any"
	Packager    string // default "Unknown Packager", as makepkg writes
	// BuildDate is stored with a resolution of one second; default the epoch.
	BuildDate time.Time

	Licenses   []string
	Groups     []string
	Depends    []string // "name", "name>=1.2"
	OptDepends []string // "name: what it is good for"
	Provides   []string
	Conflicts  []string
	Replaces   []string
	Backup     []string // paths whose edited copies pacman keeps
	Install    string   // text of the .INSTALL shell functions; empty for none
	Files      []File   // in any order; parent directories are added
}

// File is one entry of a package: a regular file, a directory or a symbolic link,
// told apart by the type bits of Mode.
type File struct {
	// Path is relative to the root, without a leading slash and without "." or "..".
	Path string
	// Mode holds permission bits, setuid, setgid and sticky, and fs.ModeDir or
	// fs.ModeSymlink. The permissions of a symbolic link are always 0777.
	Mode     fs.FileMode
	UID, GID int
	ModTime  time.Time // default the package's BuildDate
	Target   string    // what a symbolic link points to

	// Data is the content of a regular file, unless Source names a file to read
	// it from when the package is written.
	Data   []byte
	Source string

	// Xattrs are extended attributes by their full name, such as
	// "security.capability".
	Xattrs map[string]string
}

// FileName is the name that pacman expects of the package's file.
func (p Package) FileName() string {
	return p.Name + "-" + p.Version + "-" + p.arch() + ".pkg.tar.zst"
}

func (p Package) arch() string {
	if p.Arch == "" {
		return "any"
	}
	return p.Arch
}

func (p Package) base() string {
	if p.Base == "" {
		return p.Name
	}
	return p.Base
}

func (p Package) packager() string {
	if p.Packager == "" {
		return "Unknown Packager"
	}
	return p.Packager
}

func (p Package) buildDate() time.Time {
	if p.BuildDate.IsZero() {
		return time.Unix(0, 0)
	}
	return p.BuildDate
}

// open returns the content of a regular file and its length.
func (f File) open() (io.ReadCloser, int64, error) {
	if f.Source == "" {
		return io.NopCloser(bytes.NewReader(f.Data)), int64(len(f.Data)), nil
	}
	file, err := os.Open(f.Source)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}
