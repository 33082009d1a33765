package debian

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/archboot/archtest/alpm"
)

// draft is an Arch package in the making.
type draft struct {
	recipe
	name  string
	parts map[string]deb
	layer int // the step that brought its first .deb
	files map[string]alpm.File
	built time.Time // of the newest file that came from a .deb
}

// partition gives every file of the tree to a package.
type partition struct {
	*tree
	key     Key
	recipes map[string]recipe
	archOf  map[string]string // .deb → Arch package
	drafts  map[string]*draft
	faults  []error
}

func newPartition(t *tree, key Key) *partition {
	p := &partition{tree: t, key: key, recipes: maps.Clone(recipes), archOf: map[string]string{}, drafts: map[string]*draft{}}
	// All add-ons', chosen or not: a package has the same name in every mirror.
	for _, a := range addons {
		if len(a.recipe.debs) > 0 {
			p.recipes[a.name] = a.recipe
		}
		maps.Copy(p.recipes, a.further)
	}
	for _, l := range t.layers {
		for d := range l.debs {
			p.archOf[d] = p.nameOf(d)
		}
	}
	return p
}

// nameOf finds the Arch package of a .deb: that whose recipe names it, or else one
// of its own name.
func (p *partition) nameOf(deb string) string {
	for name, r := range p.recipes {
		for _, pattern := range r.debs {
			if ok, _ := path.Match(pattern, deb); ok {
				return name
			}
		}
	}
	return deb
}

// draft returns the package of that name, which exists from its first mention.
func (p *partition) draft(name string, layer int) *draft {
	d := p.drafts[name]
	if d == nil {
		d = &draft{recipe: p.recipes[name], name: name, layer: layer,
			parts: map[string]deb{}, files: map[string]alpm.File{}}
		p.drafts[name] = d
	}
	return d
}

// run makes the drafts: of every .deb, then of every path.
func (p *partition) run(chosen []addon) error {
	for n, l := range p.layers {
		for _, d := range l.debs {
			if _, old := p.before(n)[d.name]; !old && !plumbing[d.name] {
				p.draft(p.arch(d.name), n).parts[d.name] = d
			}
		}
		rest := "filesystem"
		if n > 0 {
			rest = chosen[n-1].name
		}
		for _, name := range l.fresh {
			if err := p.place(name, n, rest); err != nil {
				return err
			}
		}
	}
	return errors.Join(p.faults...)
}

func (p *partition) before(layer int) map[string]deb {
	if layer == 0 {
		return nil
	}
	return p.layers[layer-1].debs
}

func (p *partition) arch(deb string) string {
	if name, ok := p.archOf[deb]; ok {
		return name
	}
	return deb
}

// place gives one path of a layer to its package, or to none.
func (p *partition) place(name string, layer int, rest string) error {
	if merged[name] != "" {
		return nil
	}
	f, err := p.file(name, layer)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Path = canonical(name)
	if !keep(f.Path, f.Mode.IsDir()) {
		return nil
	}
	if f.Mode.IsDir() {
		p.placeDir(name, f, layer, rest)
		return nil
	}
	owner := p.owners[name]
	if target, ok := p.alternative(f.Target); ok {
		f.Target = target
		owner = p.owners[strings.TrimPrefix(path.Clean(target), "/")]
	}
	if plumbing[owner] || f.Target != "" && strings.HasPrefix(f.Target, "/etc/alternatives/") {
		return nil
	}
	d := p.owner(f.Path, owner, layer, rest)
	if f.Mode.IsRegular() && owner != "" && d.name == p.arch(owner) && f.ModTime.After(d.built) {
		d.built = f.ModTime
	}
	p.add(d, f)
	return nil
}

// placeDir gives a directory to every package that lists it, or, when none does,
// to the step that made it.
func (p *partition) placeDir(name string, f alpm.File, layer int, rest string) {
	listed := false
	for deb, dirs := range p.listed {
		if !slices.Contains(dirs, name) {
			continue
		}
		listed = true
		if !plumbing[deb] && p.drafts[p.arch(deb)] != nil {
			p.add(p.drafts[p.arch(deb)], f)
		}
	}
	if !listed {
		p.add(p.owner(f.Path, "", layer, rest), f)
	}
}

// owner finds the package of a canonical path.
func (p *partition) owner(name, deb string, layer int, rest string) *draft {
	claims := func(patterns func(recipe) []string) string {
		for arch, r := range p.recipes {
			for _, pattern := range patterns(r) {
				if matches(pattern, name) {
					return arch
				}
			}
		}
		return ""
	}
	if arch := claims(func(r recipe) []string { return r.takes }); arch != "" {
		return p.draft(arch, layer)
	}
	if deb != "" {
		return p.draft(p.arch(deb), layer)
	}
	if arch := claims(func(r recipe) []string { return r.owns }); arch != "" {
		return p.draft(arch, layer)
	}
	return p.draft(rest, layer)
}

// add puts a file into a draft unless the recipe leaves it out.
func (p *partition) add(d *draft, f alpm.File) {
	for _, pattern := range d.without {
		if matches(pattern, f.Path) {
			return
		}
	}
	for from, to := range d.rename {
		if f.Path == from {
			f.Path = to
		} else if tail, ok := strings.CutPrefix(f.Path, from); ok && strings.HasSuffix(from, "/") {
			f.Path = to + tail
		}
	}
	old, taken := d.files[f.Path]
	switch {
	case !taken, f.Mode.IsDir() && old.Mode.IsDir():
		d.files[f.Path] = f
	case f.Mode&fs.ModeSymlink != 0:
		// sbin/ip is a link to bin/ip, which merging the two makes the same path.
	case old.Mode&fs.ModeSymlink != 0:
		d.files[f.Path] = f
	default:
		p.faults = append(p.faults, fmt.Errorf("%s: two files become %s", d.name, f.Path))
	}
}

// parents adds the directories above every file, as they are in the tree.
func (p *partition) parents(d *draft) error {
	for name := range maps.Clone(d.files) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := d.files[dir]; ok {
				continue
			}
			f, err := p.file(dir, len(p.layers)) // as it is in the end
			if errors.Is(err, fs.ErrNotExist) || err == nil && !f.Mode.IsDir() {
				f, err = alpm.File{Path: dir, Mode: fs.ModeDir | 0o755}, nil
			}
			if err != nil {
				return fmt.Errorf("directory %s of %s: %w", filepath.Join(p.root, dir), d.name, err)
			}
			d.files[dir] = f
		}
	}
	return nil
}
