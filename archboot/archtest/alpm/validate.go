package alpm

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// ErrInvalid is wrapped by every fault that [Package.Validate] finds.
var ErrInvalid = errors.New("invalid package")

// Validate reports every fault of the description at once, as one joined error
// whose parts wrap [ErrInvalid].
func (p Package) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		faults = append(faults, fmt.Errorf("%w: %s: %s", ErrInvalid, p.Name, text))
	}
	if !validName(p.Name) {
		fault("name %q has characters that pacman refuses", p.Name)
	}
	if !validVersion(p.Version) {
		fault("version %q is not [epoch:]version-release", p.Version)
	}
	if strings.ContainsAny(p.Arch, "/-\n ") {
		fault("architecture %q", p.Arch)
	}
	for _, line := range p.lines() {
		if strings.ContainsAny(line, "\n\x00") {
			fault("%q spans lines", line)
		}
	}
	seen := map[string]bool{}
	for _, f := range p.Files {
		if err := f.check(); err != nil {
			fault("file %q: %v", f.Path, err)
		}
		if seen[f.Path] {
			fault("file %q is listed twice", f.Path)
		}
		seen[f.Path] = true
	}
	return errors.Join(faults...)
}

// lines are all the values that .PKGINFO gives one line each.
func (p Package) lines() []string {
	lines := []string{p.Base, p.Description, p.URL, p.Packager}
	for _, list := range [][]string{p.Licenses, p.Groups, p.Depends, p.OptDepends,
		p.Provides, p.Conflicts, p.Replaces, p.Backup} {
		lines = append(lines, list...)
	}
	return lines
}

func (f File) check() error {
	switch {
	case f.Path == "" || f.Path == "." || !fs.ValidPath(f.Path) || path.Clean(f.Path) != f.Path:
		return errors.New("not a clean relative path")
	case strings.HasPrefix(f.Path, ".") && !strings.Contains(f.Path, "/"):
		return errors.New("names with a leading dot at the top are the package's own metadata")
	case strings.ContainsAny(f.Path, "\n\x00"):
		return errors.New("newline or NUL in the path")
	case f.Mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0:
		return fmt.Errorf("mode %v is no regular file, directory or symbolic link", f.Mode)
	case f.Mode&fs.ModeSymlink != 0 && f.Target == "":
		return errors.New("symbolic link without a target")
	}
	return nil
}

// validName holds names to the characters that PKGBUILD(5) allows.
func validName(name string) bool {
	if name == "" || name[0] == '-' || name[0] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("@._+-", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func validVersion(v string) bool {
	if epoch, rest, ok := strings.Cut(v, ":"); ok {
		if epoch == "" || strings.Trim(epoch, "0123456789") != "" {
			return false
		}
		v = rest
	}
	version, release, ok := strings.Cut(v, "-")
	if !ok || version == "" || release == "" {
		return false
	}
	return !strings.ContainsAny(version+release, ":/-\n\x00 \t")
}
