package debian

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/prologin/rig/archboot/archtest/alpm"
	"golang.org/x/sys/unix"
)

// tree is a configured Debian system and what the hook wrote down about it.
type tree struct {
	root   string
	layers []layer
	owners map[string]string   // path, as dpkg lists it → .deb
	listed map[string][]string // .deb → the directories it lists
}

// layer is the state after one step: 0 the base, n the nth add-on.
type layer struct {
	dir   string
	debs  map[string]deb
	fresh []string // paths that this step brought
}

func readTree(root, layersDir string, steps int) (*tree, error) {
	t := &tree{root: root, owners: map[string]string{}, listed: map[string][]string{}}
	seen := map[string]bool{}
	for n := range steps {
		dir := filepath.Join(layersDir, fmt.Sprint(n))
		status, err := os.Open(filepath.Join(dir, "status"))
		if err != nil {
			return nil, err
		}
		debs, err := parseStatus(status)
		status.Close()
		if err != nil {
			return nil, err
		}
		paths, err := os.ReadFile(filepath.Join(dir, "paths"))
		if err != nil {
			return nil, err
		}
		l := layer{dir: dir, debs: debs}
		for p := range bytes.SplitSeq(bytes.TrimSuffix(paths, []byte{0}), []byte{0}) {
			if p := string(p); p != "" && !seen[p] {
				seen[p] = true
				l.fresh = append(l.fresh, p)
			}
		}
		slices.Sort(l.fresh)
		t.layers = append(t.layers, l)
	}
	return t, t.readLists()
}

// readLists reads dpkg's file lists.
func (t *tree) readLists() error {
	lists, err := filepath.Glob(filepath.Join(t.root, "var/lib/dpkg/info/*.list"))
	if err != nil {
		return err
	}
	for _, list := range lists {
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(list), ".list"), ":")
		text, err := os.ReadFile(list)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			p := strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "/")
			// Lists of older packages name /bin and /lib; the tree has them in /usr.
			if first, rest, ok := strings.Cut(p, "/"); ok && merged[first] != "" {
				p = "usr/" + first + "/" + rest
			}
			if info, err := os.Lstat(filepath.Join(t.root, p)); err == nil && info.IsDir() {
				t.listed[name] = append(t.listed[name], p)
				continue
			}
			t.owners[p] = name
		}
	}
	return nil
}

// file describes a path of the tree as it was after the given layer. It returns
// fs.ErrNotExist for what was excluded from the tree or is no longer in it.
func (t *tree) file(p string, layer int) (alpm.File, error) {
	source := filepath.Join(t.root, p)
	if strings.HasPrefix(p, "etc/") && layer == 0 {
		// Add-ons edit files of the base: accounts, shells, PAM.
		source = filepath.Join(t.layers[0].dir, p)
	}
	info, err := os.Lstat(source)
	if err != nil {
		return alpm.File{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	f := alpm.File{Path: p, Mode: info.Mode(), UID: int(stat.Uid), GID: int(stat.Gid)}
	if !info.IsDir() { // whose time says only when something was installed below
		f.ModTime = info.ModTime()
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		f.Target, err = os.Readlink(source)
	case info.Mode().IsRegular():
		f.Source = source
		f.Xattrs, err = capability(source)
	case !info.IsDir():
		return alpm.File{}, fmt.Errorf("%s: %w: device, socket or fifo", p, fs.ErrNotExist)
	}
	return f, err
}

// capability reads the one extended attribute that packages carry.
func capability(file string) (map[string]string, error) {
	value := make([]byte, 64)
	n, err := unix.Lgetxattr(file, "security.capability", value)
	switch err {
	case nil:
		return map[string]string{"security.capability": string(value[:n])}, nil
	case unix.ENODATA, unix.ENOTSUP:
		return nil, nil
	}
	return nil, &fs.PathError{Op: "lgetxattr", Path: file, Err: err}
}

// alternative resolves a link into /etc/alternatives to what it stands for.
func (t *tree) alternative(target string) (string, bool) {
	name, ok := strings.CutPrefix(target, "/etc/alternatives/")
	if !ok {
		return target, false
	}
	real, err := os.Readlink(filepath.Join(t.root, "etc/alternatives", path.Clean(name)))
	if err != nil {
		return target, false
	}
	return real, true
}
