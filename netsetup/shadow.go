package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// networkDirs are where networkd looks for files; of two files of one name, the
// one in the earlier directory is read.
var networkDirs = []string{
	"etc/systemd/network",
	"run/systemd/network",
	"usr/local/lib/systemd/network",
	"usr/lib/systemd/network",
	"lib/systemd/network",
}

// ShadowError says that another .network file comes before the zone's and
// matches its bridge, so that networkd would never read the zone's: no address,
// no masquerading, and no word about it. It is ErrExists.
type ShadowError struct {
	Bridge  string
	File    string // the file in the way
	Certain bool   // false: it depends on conditions that only networkd can test
	Ours    string // the file that it shadows
}

// Error says what is in the way, and what to do about it.
func (e *ShadowError) Error() string {
	certain := ""
	if !e.Certain {
		certain = " (if its other conditions hold)"
	}
	return fmt.Sprintf("%s matches %s%s and sorts before %s, which networkd will not read: write \"Name=!vz-*\" into its [Match] section, or rename it to sort later",
		e.File, e.Bridge, certain, e.Ours)
}

// Unwrap returns ErrExists.
func (e *ShadowError) Unwrap() error { return ErrExists }

// networkFiles lists the .network files that networkd would read from a root
// directory, in the order in which it tries them.
func networkFiles(root fs.FS) ([]string, error) {
	return collect(root, networkDirs, ".network")
}

// collect lists the files of a suffix in several directories, sorted by name.
// One of the same name in an earlier directory replaces it.
func collect(root fs.FS, dirs []string, suffix string) ([]string, error) {
	found := make(map[string]string)
	for _, dir := range dirs {
		entries, err := fs.ReadDir(root, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			_, taken := found[e.Name()]
			if !taken && strings.HasSuffix(e.Name(), suffix) {
				found[e.Name()] = path.Join(dir, e.Name())
			}
		}
	}
	var files []string
	for _, f := range found {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return files, nil
}

// readMatch reads the [Match] section of a file and of its drop-ins. A file that
// is empty, or a link to /dev/null, masks those of its name and matches nothing.
func readMatch(root fs.FS, file string) (*match, error) {
	m := new(match)
	empty, err := m.readFile(root, file)
	if err != nil || empty {
		return m, err
	}
	var dirs []string
	for _, d := range networkDirs {
		dirs = append(dirs, path.Join(d, path.Base(file)+".d"))
	}
	dropIns, err := collect(root, dirs, ".conf")
	for _, d := range dropIns {
		if _, readErr := m.readFile(root, d); readErr != nil {
			err = errors.Join(err, readErr)
		}
	}
	return m, err
}

func (m *match) readFile(root fs.FS, file string) (empty bool, err error) {
	f, err := root.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // a link to nowhere
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return true, err
	}
	return false, m.read(f)
}

// shadow looks for a file that keeps networkd from reading ours for a bridge.
// ours need not exist yet. It returns nil if there is none.
func shadow(root fs.FS, bridge, ours string) (*ShadowError, error) {
	files, err := networkFiles(root)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		before := path.Base(f) < path.Base(ours)
		replaces := path.Base(f) == path.Base(ours) && f != ours && dirRank(f) < dirRank(ours)
		if !before && !replaces {
			continue
		}
		e := &ShadowError{Bridge: bridge, File: "/" + f, Certain: true, Ours: "/" + ours}
		if replaces {
			return e, nil
		}
		m, err := readMatch(root, f)
		if err != nil {
			return nil, err
		}
		if v := m.matches(bridge, "bridge"); v != no {
			e.Certain = v == yes
			return e, nil
		}
	}
	return nil, nil
}

func dirRank(file string) int { return slices.Index(networkDirs, path.Dir(file)) }
