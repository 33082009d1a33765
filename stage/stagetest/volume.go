package stagetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prologin/rig/stage"
)

// Volume is a [stage.Volume] in a directory: the tree is a directory, a snapshot a
// copy of it. It survives the program, also one that is killed.
type Volume struct {
	Faults

	dir  string
	base map[string]string

	mu     sync.Mutex
	counts map[string]int
}

var (
	_ stage.Volume   = (*Volume)(nil)
	_ stage.Resetter = (*Volume)(nil)
	_ stage.Differ   = (*Volume)(nil)
	_ stage.Cloner   = (*Volume)(nil)
)

// NewVolume returns the volume in the given directory, which it makes if need be. A
// fresh tree has the files of base, by name.
func NewVolume(dir string, base map[string]string) (*Volume, error) {
	v := &Volume{dir: dir, base: base, counts: map[string]int{}}
	if err := os.MkdirAll(v.path("snapshots"), 0o755); err != nil {
		return nil, err
	}
	if err := v.sweep(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(v.Tree()); err != nil {
		return v, v.replace(v.fill)
	}
	return v, nil
}

func (v *Volume) path(elem ...string) string {
	return filepath.Join(append([]string{v.dir}, elem...)...)
}

// Tree returns the path of the tree.
func (v *Volume) Tree() string { return v.path("tree") }

// Count returns how often the named method was called.
func (v *Volume) Count(method string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counts[method]
}

func (v *Volume) hit(method string) error {
	v.mu.Lock()
	v.counts[method]++
	v.mu.Unlock()
	return v.Faults.hit(method)
}

// sweep removes what a killed program left half-made.
func (v *Volume) sweep() error {
	current, _ := os.Readlink(v.Tree())
	for _, pattern := range []string{"tree-*", "snapshots/.new-*", ".link"} {
		found, err := filepath.Glob(v.path(pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			if filepath.Base(f) != current {
				if err := os.RemoveAll(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Reset makes the tree a fresh one.
func (v *Volume) Reset(ctx context.Context) error {
	if err := v.hit("Reset"); err != nil {
		return err
	}
	return v.replace(v.fill)
}

// Saved lists the snapshots, oldest first.
func (v *Volume) Saved(ctx context.Context) ([]stage.Saved, error) {
	if err := v.hit("Saved"); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(v.path("snapshots"))
	if err != nil {
		return nil, err
	}
	var found []meta
	for _, e := range entries {
		var s meta
		data, err := os.ReadFile(v.path("snapshots", e.Name(), "meta.json"))
		if err != nil || json.Unmarshal(data, &s) != nil || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		found = append(found, s)
	}
	slices.SortFunc(found, func(a, b meta) int { return a.Number - b.Number })
	var out []stage.Saved
	for _, s := range found {
		out = append(out, s.Saved)
	}
	return out, nil
}

// meta is what is kept of a snapshot. The clock may be set back, so that the time does
// not tell which is newer.
type meta struct {
	stage.Saved
	Number int
}

// next returns a number greater than that of any snapshot.
func (v *Volume) next() int {
	number := 0
	files, _ := filepath.Glob(v.path("snapshots", "*", "meta.json"))
	for _, f := range files {
		var s meta
		if data, err := os.ReadFile(f); err == nil && json.Unmarshal(data, &s) == nil {
			number = max(number, s.Number)
		}
	}
	return number + 1
}

// Save copies the tree.
func (v *Volume) Save(ctx context.Context, s stage.Saved) error {
	if err := v.hit("Save"); err != nil {
		return err
	}
	target := v.path("snapshots", s.Name)
	if _, err := os.Stat(target); err == nil {
		return fmt.Errorf("snapshot %s: %w", s.Name, fs.ErrExist)
	}
	s.Time = time.Now()
	data, err := json.Marshal(meta{s, v.next()})
	if err != nil {
		return err
	}
	fresh := v.path("snapshots", ".new-"+s.Name)
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := copyTree(filepath.Join(fresh, "tree"), v.Tree()); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(fresh, "meta.json"), data, 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, target)
}

// Restore makes the tree a copy of a snapshot.
func (v *Volume) Restore(ctx context.Context, name string) error {
	if err := v.hit("Restore"); err != nil {
		return err
	}
	from := v.path("snapshots", name, "tree")
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("snapshot %s: %w", name, err)
	}
	return v.replace(func(dir string) error {
		if err := os.Remove(dir); err != nil {
			return err
		}
		return copyTree(dir, from)
	})
}

// CloneFrom makes the tree a copy of another Volume's snapshot.
func (v *Volume) CloneFrom(ctx context.Context, source stage.Volume, name string) error {
	if err := v.hit("CloneFrom"); err != nil {
		return err
	}
	from, ok := source.(*Volume)
	if !ok {
		return fmt.Errorf("clone from a %T: %w", source, stage.ErrNotSupported)
	}
	return v.replace(func(dir string) error {
		if err := os.Remove(dir); err != nil {
			return err
		}
		return copyTree(dir, from.path("snapshots", name, "tree"))
	})
}

// Remove deletes a snapshot.
func (v *Volume) Remove(ctx context.Context, name string) error {
	if err := v.hit("Remove"); err != nil {
		return err
	}
	from := v.path("snapshots", name)
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("snapshot %s: %w", name, err)
	}
	// Renamed first, so that half a snapshot is never taken for one.
	gone := v.path("snapshots", ".new-"+name)
	if err := os.Rename(from, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}
