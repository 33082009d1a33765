package archboot

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// A Manifest is what a root holds. Two roots with equal manifests behave the same.
type Manifest struct {
	Packages []Package
	Files    []Entry // sorted by path
}

// A Package is one that pacman has installed.
type Package struct {
	Name, Version string
}

// An Entry describes a file, directory or symlink. Times are left out.
type Entry struct {
	Path       string // from the root's top, "/etc/passwd"
	Mode       fs.FileMode
	UID, GID   int
	Size       int64  // of regular files
	SHA256     string // of regular files, in hexadecimal
	Target     string // of symlinks
	Capability string // the security.capability attribute in hexadecimal
}

// ReadManifest reads the root, which should not be running, with one goroutine a
// processor. It follows no symlinks and needs the right to read every file.
func ReadManifest(ctx context.Context, root string) (Manifest, error) {
	m, err := readManifest(ctx, root)
	return m, wrap("read manifest", root, err)
}

func readManifest(ctx context.Context, dir string) (Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	var m Manifest
	if m.Packages, err = installed(root); err != nil {
		return Manifest{}, err
	}
	if m.Files, err = listEntries(ctx, root); err != nil {
		return Manifest{}, err
	}
	hashes, ctx := errgroup.WithContext(ctx)
	hashes.SetLimit(runtime.GOMAXPROCS(0))
	for i := range m.Files {
		if e := &m.Files[i]; e.Mode.IsRegular() {
			hashes.Go(func() error { return e.hash(ctx, root) })
		}
	}
	return m, hashes.Wait()
}

// listEntries walks the tree.
func listEntries(ctx context.Context, root *os.Root) ([]Entry, error) {
	var list []Entry
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil || name == "." {
			return err
		}
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		e := Entry{Path: "/" + name, Mode: info.Mode(), UID: int(st.Uid), GID: int(st.Gid)}
		switch {
		case info.Mode().IsRegular():
			e.Size = info.Size()
		case info.Mode()&fs.ModeSymlink != 0:
			e.Target, err = root.Readlink(name)
		}
		list = append(list, e)
		return err
	})
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return list, err
}

func (e *Entry) hash(ctx context.Context, root *os.Root) error {
	f, err := root.OpenFile(e.Path[1:], os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, readerWithContext{ctx, f}); err != nil {
		return err
	}
	e.SHA256 = hex.EncodeToString(h.Sum(nil))
	capability := make([]byte, 64)
	n, err := unix.Fgetxattr(int(f.Fd()), "security.capability", capability)
	if err == nil {
		e.Capability = hex.EncodeToString(capability[:n])
	}
	return nil
}

// installed reads pacman's own database.
func installed(root *os.Root) ([]Package, error) {
	var list []Package
	err := eachInstalled(root, func(desc []byte) error {
		p, err := parseDesc(bytes.NewReader(desc))
		list = append(list, p)
		return err
	})
	return list, err
}

// provided returns what a root's packages can be asked for by: their names, what they
// provide, and their groups.
func provided(root *os.Root) (map[string]bool, error) {
	names := make(map[string]bool)
	err := eachInstalled(root, func(desc []byte) error {
		section := ""
		for line := range strings.Lines(string(desc)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "%"):
				section = line
			case line != "" && (section == "%NAME%" || section == "%PROVIDES%" || section == "%GROUPS%"):
				name, _, _ := strings.Cut(line, "=")
				names[name] = true
			}
		}
		return nil
	})
	return names, err
}

// eachInstalled calls f with the description of every package.
func eachInstalled(root *os.Root, f func(desc []byte) error) error {
	const local = "var/lib/pacman/local"
	dirs, err := fs.ReadDir(root.FS(), local)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		desc, err := root.ReadFile(path.Join(local, d.Name(), "desc"))
		if err == nil {
			err = f(desc)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
	}
	return nil
}

// parseDesc reads the name and the version out of a desc file, see alpm-db-desc(5).
func parseDesc(r io.Reader) (Package, error) {
	var p Package
	s := bufio.NewScanner(r)
	for s.Scan() {
		switch s.Text() {
		case "%NAME%":
			s.Scan()
			p.Name = s.Text()
		case "%VERSION%":
			s.Scan()
			p.Version = s.Text()
		}
	}
	if s.Err() == nil && (p.Name == "" || p.Version == "") {
		return p, fmt.Errorf("%w: no name or version in the database of packages", ErrCorrupt)
	}
	return p, s.Err()
}

// VolatilePaths returns the files in which two roots of one [Config] differ, as
// patterns of [path.Match] on the path or one of its parents: keys made for the
// one root, the salt of the password, and times.
func VolatilePaths() []string {
	return []string{
		"/etc/pacman.d/gnupg",         // the machine's own signing key
		"/etc/shadow", "/etc/shadow-", // salts, days of change
		"/etc/machine-id",                // where it is random
		"/etc/.updated", "/var/.updated", // the time of /usr
		"/var/lib/pacman/local/*/desc", // times of installation
		"/var/log",                     // times
		"/var/cache/ldconfig",          // times and inode numbers
	}
}

// Diff lists, a line each, what is in one manifest and not in the other, or
// different. Entries that match one of the patterns, see [VolatilePaths], are left out.
func (m Manifest) Diff(other Manifest, ignore []string) []string {
	var lines []string
	lines = append(lines, diff(m.Packages, other.Packages,
		func(p Package) string { return p.Name }, func(p Package) string { return "package " + p.Name + " " + p.Version })...)
	keep := func(list []Entry) []Entry {
		return slices.DeleteFunc(slices.Clone(list), func(e Entry) bool { return matches(e.Path, ignore) })
	}
	return append(lines, diff(keep(m.Files), keep(other.Files),
		func(e Entry) string { return e.Path }, Entry.String)...)
}

// String returns the entry as a line of a listing.
func (e Entry) String() string {
	s := fmt.Sprintf("%s %d:%d %s", e.Mode, e.UID, e.GID, e.Path)
	switch {
	case e.Target != "":
		s += " -> " + e.Target
	case e.SHA256 != "":
		s += fmt.Sprintf(" %d bytes %.12s", e.Size, e.SHA256)
	}
	if e.Capability != "" {
		s += " capability " + e.Capability
	}
	return s
}

// diff compares two lists by name: "- " is only in a, "+ " only in b.
func diff[T comparable](a, b []T, name func(T) string, show func(T) string) []string {
	in := make(map[string]T, len(b))
	for _, x := range b {
		in[name(x)] = x
	}
	var lines []string
	for _, x := range a {
		y, ok := in[name(x)]
		delete(in, name(x))
		if ok && x == y {
			continue
		}
		lines = append(lines, "- "+show(x))
		if ok {
			lines = append(lines, "+ "+show(y))
		}
	}
	for _, x := range b {
		if _, only := in[name(x)]; only {
			lines = append(lines, "+ "+show(x))
		}
	}
	return lines
}

func matches(name string, patterns []string) bool {
	for ; name != "/" && name != "."; name = path.Dir(name) {
		for _, p := range patterns {
			if ok, _ := path.Match(strings.TrimSuffix(p, "/"), name); ok {
				return true
			}
		}
	}
	return false
}
