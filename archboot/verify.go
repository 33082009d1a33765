package archboot

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Problem is a way in which a root is not what its packages brought.
type Problem struct {
	Package string // that the path belongs to, empty for none
	Path    string
	Fault   string // in words for people
}

// String returns the problem as a line.
func (p Problem) String() string {
	owner := p.Package
	if owner == "" {
		owner = "no package"
	}
	return fmt.Sprintf("%s: %s: %s", owner, p.Path, p.Fault)
}

// Verify compares a root with what its packages say they installed: type, owner,
// mode, content and link target of every file. Files that belong to the
// administrator (backup in PKGBUILD(5)) may have any content. Files with setuid,
// setgid or capabilities that no package brought are problems too. What a package says
// of its files does not include capabilities: one that was added to a file of a package
// shows when two manifests are compared.
//
// It is what pacman -Qkk does, without pacman, by content rather than by time, and
// on all processors. A healthy root gives none or, after [Bootstrap], the few files
// that its Config changed on purpose. Where what packages say is damaged itself, the
// error is [ErrCorrupt].
func Verify(ctx context.Context, root string) ([]Problem, error) {
	problems, err := verify(ctx, root)
	return problems, wrap("verify", root, err)
}

func verify(ctx context.Context, dir string) ([]Problem, error) {
	m, err := readManifest(ctx, dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	have := make(map[string]Entry, len(m.Files))
	for _, e := range m.Files {
		have[e.Path] = e
	}
	owned := make(map[string]bool, len(m.Files))
	var problems []Problem
	for _, p := range m.Packages {
		want, backup, err := expected(root, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		for _, w := range want {
			owned[w.Path] = true
			got, ok := have[w.Path]
			for _, fault := range compare(w, got, ok, backup[w.Path]) {
				problems = append(problems, Problem{p.Name, w.Path, fault})
			}
		}
	}
	return append(problems, strangers(m.Files, owned)...), nil
}

// strangers finds programs with privileges that no package brought.
func strangers(list []Entry, owned map[string]bool) []Problem {
	var problems []Problem
	for _, e := range list {
		if owned[e.Path] || !e.Mode.IsRegular() {
			continue
		}
		if e.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			problems = append(problems, Problem{"", e.Path, "setuid or setgid"})
		}
		if e.Capability != "" {
			problems = append(problems, Problem{"", e.Path, "has capabilities"})
		}
	}
	return problems
}

// compare lists how an entry differs from what its package says.
func compare(want, got Entry, ok, backup bool) []string {
	if !ok {
		return []string{"missing"}
	}
	if want.Mode.Type() != got.Mode.Type() {
		return []string{fmt.Sprintf("is a %s, not a %s", kind(got.Mode), kind(want.Mode))}
	}
	var faults []string
	if want.UID != got.UID || want.GID != got.GID {
		faults = append(faults, fmt.Sprintf("belongs to %d:%d, not %d:%d", got.UID, got.GID, want.UID, want.GID))
	}
	if want.Mode != got.Mode && want.Mode&fs.ModeSymlink == 0 {
		faults = append(faults, fmt.Sprintf("has mode %v, not %v", got.Mode, want.Mode))
	}
	if want.Target != got.Target {
		faults = append(faults, fmt.Sprintf("leads to %q, not %q", got.Target, want.Target))
	}
	if want.SHA256 != "" && want.SHA256 != got.SHA256 && !backup {
		faults = append(faults, "has another content")
	}
	return faults
}

func kind(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "directory"
	case fs.ModeSymlink:
		return "symlink"
	}
	return "special file"
}

// expected reads what pacman remembers of a package's files.
func expected(root *os.Root, p Package) (list []Entry, backup map[string]bool, err error) {
	dir := path.Join("var/lib/pacman/local", p.Name+"-"+p.Version)
	files, err := root.ReadFile(path.Join(dir, "files"))
	if err != nil {
		return nil, nil, err
	}
	f, err := root.Open(path.Join(dir, "mtree"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil // a package without one
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: mtree: %w", ErrCorrupt, err)
	}
	list, err = parseMtree(plain)
	return list, parseBackup(string(files)), err
}

// parseBackup returns the paths in the %BACKUP% section of a files file.
func parseBackup(files string) map[string]bool {
	list := make(map[string]bool)
	_, section, _ := strings.Cut(files, "%BACKUP%\n")
	for line := range strings.Lines(section) {
		name, _, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			break // an empty line ends it
		}
		list["/"+name] = true
	}
	return list
}

// parseMtree reads the subset of mtree(5) that is in packages: /set and entries with
// full paths. The package's own files (.PKGINFO and the like) are left out.
func parseMtree(r io.Reader) ([]Entry, error) {
	var list []Entry
	var defaults []string
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		words := strings.Fields(s.Text())
		switch {
		case len(words) == 0, words[0][0] == '#':
		case words[0] == "/set":
			defaults = words[1:]
		case strings.HasPrefix(words[0], "./."):
		case strings.HasPrefix(words[0], "./"):
			e, err := parseMtreeEntry(words, defaults)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%w: mtree: %w", ErrCorrupt, err)
	}
	return list, nil
}

func parseMtreeEntry(words, defaults []string) (Entry, error) {
	e := Entry{Path: unescape(words[0])[1:]}
	var fileType fs.FileMode
	var errs []error
	for _, word := range slices.Concat(defaults, words[1:]) {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch key {
		case "type":
			fileType = map[string]fs.FileMode{"dir": fs.ModeDir, "link": fs.ModeSymlink}[value]
		case "mode":
			e.Mode, err = parseMode(value)
		case "uid":
			e.UID, err = strconv.Atoi(value)
		case "gid":
			e.GID, err = strconv.Atoi(value)
		case "size":
			e.Size, err = strconv.ParseInt(value, 10, 64)
		case "sha256digest":
			e.SHA256 = value
		case "link":
			e.Target = unescape(value)
		}
		errs = append(errs, err)
	}
	e.Mode |= fileType
	if err := errors.Join(errs...); err != nil {
		return e, fmt.Errorf("%w: mtree entry %q: %w", ErrCorrupt, words[0], err)
	}
	return e, nil
}

// parseMode turns octal permissions into the form of package fs.
func parseMode(octal string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(octal, 8, 12)
	mode := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			mode |= flag
		}
	}
	return mode, err
}

// unescape resolves the octal escapes of strvis(3), such as \040 for a blank.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
