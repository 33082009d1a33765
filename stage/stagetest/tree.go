package stagetest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prologin/rig/stage"
)

// replace makes a new tree and puts it in the place of the old one: the tree is a
// symbolic link, which can be replaced at once.
func (v *Volume) replace(fill func(dir string) error) error {
	old, _ := os.Readlink(v.Tree())
	fresh := "tree-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := os.Mkdir(v.path(fresh), 0o755); err != nil {
		return err
	}
	if err := fill(v.path(fresh)); err != nil {
		return err
	}
	if err := os.Symlink(fresh, v.path(".link")); err != nil {
		return err
	}
	if err := os.Rename(v.path(".link"), v.Tree()); err != nil {
		return err
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(v.path(old))
}

func (v *Volume) fill(dir string) error {
	for name, text := range v.base {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies directories, files and symbolic links. The source may be a link.
func copyTree(to, from string) error {
	from, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

// Files returns the content of every file of the tree, by name.
func (v *Volume) Files() (map[string]string, error) { return files(v.Tree()) }

func files(dir string) (map[string]string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	return out, err
}

// Diff lists the files in which two snapshots differ. An empty name is the tree.
func (v *Volume) Diff(ctx context.Context, from, to string) ([]stage.FileChange, error) {
	if err := v.hit("Diff"); err != nil {
		return nil, err
	}
	dir := func(name string) string {
		if name == "" {
			return v.Tree()
		}
		return v.path("snapshots", name, "tree")
	}
	before, err := files(dir(from))
	if err != nil {
		return nil, err
	}
	after, err := files(dir(to))
	if err != nil {
		return nil, err
	}
	var out []stage.FileChange
	for name, text := range after {
		if old, ok := before[name]; !ok {
			out = append(out, stage.FileChange{Path: "/" + name, Kind: stage.Added})
		} else if old != text {
			out = append(out, stage.FileChange{Path: "/" + name, Kind: stage.Modified})
		}
		delete(before, name)
	}
	for name := range before {
		out = append(out, stage.FileChange{Path: "/" + name, Kind: stage.Removed})
	}
	slices.SortFunc(out, func(a, b stage.FileChange) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}
