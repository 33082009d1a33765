package debian

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/archboot/archtest/alpm"
)

// files holds what Arch has and Debian has not, one directory a package. A file
// replaces the one that the tree has at its path; .INSTALL is the package's
// install script.
//
//go:embed all:files
var files embed.FS

// packages turns the drafts into packages: core first, then extra, each without
// what nothing asks for.
func (p *partition) packages(chosen []addon) (coreRepo, extraRepo []alpm.Package, err error) {
	if err := p.complete(chosen); err != nil {
		return nil, nil, err
	}
	roots := slices.Concat(base, core, stubs)
	for _, a := range chosen {
		roots = append(roots, a.name)
	}
	wanted, err := p.reachable(roots)
	if err != nil {
		return nil, nil, err
	}
	if err := p.conflicts(wanted); err != nil {
		return nil, nil, err
	}
	for _, name := range wanted {
		d := p.drafts[name]
		if d.layer == 0 {
			coreRepo = append(coreRepo, p.finish(d))
		} else {
			extraRepo = append(extraRepo, p.finish(d))
		}
	}
	coreRepo = append(coreRepo, alpm.Package{
		Name: "base", Version: "3-2", Depends: slices.Clone(base),
		Description: "Minimal package set to define a basic Arch Linux installation",
		BuildDate:   p.newest(),
	})
	return coreRepo, extraRepo, nil
}

// complete adds to the drafts what the tree does not have.
func (p *partition) complete(chosen []addon) error {
	p.addKeyring()
	for _, name := range stubs {
		p.draft(name, 0)
	}
	if err := p.baseAccounts(p.draft("filesystem", 0)); err != nil {
		return err
	}
	renames := map[string]string{}
	for i, a := range chosen {
		maps.Copy(renames, a.users)
		f, err := p.sysusers(a, i+1)
		if err != nil {
			return err
		}
		if f != nil {
			p.draft(a.name, i+1).files[f.Path] = *f
		}
	}
	for _, d := range p.drafts {
		if err := p.addListed(d, renames); err != nil {
			return err
		}
		if err := addOverlay(d); err != nil {
			return err
		}
		if err := d.applyEdits(); err != nil {
			return err
		}
		if err := p.parents(d); err != nil {
			return err
		}
	}
	return nil
}

// addKeyring adds the mirror's key in the form that pacman-key --populate reads:
// the keys, and whom to trust how far.
func (p *partition) addKeyring() {
	d := p.draft("archlinux-keyring", 0)
	for suffix, data := range map[string]string{
		".gpg":     string(p.key.Public),
		"-trusted": p.key.Fingerprint + ":4:\n",
		"-revoked": "",
	} {
		name := "usr/share/pacman/keyrings/archlinux" + suffix
		d.files[name] = alpm.File{Path: name, Mode: 0o644, Data: []byte(data)}
	}
}

// applyEdits makes the recipe's replacements.
func (d *draft) applyEdits() error {
	for name, change := range d.edit {
		f, ok := d.files[name]
		if !ok {
			return fmt.Errorf("package %s has no file %s to edit", d.name, name)
		}
		text, err := os.ReadFile(f.Source)
		if err != nil {
			return err
		}
		edited := strings.ReplaceAll(string(text), change[0], change[1])
		if edited == string(text) {
			return fmt.Errorf("%s of package %s: nothing to edit, no %q in it", name, d.name, change[0])
		}
		f.Source, f.Data = "", []byte(edited)
		d.files[name] = f
	}
	return nil
}

// addListed adds the links and directories that the recipe names.
func (p *partition) addListed(d *draft, renames map[string]string) error {
	for _, pattern := range d.expose {
		for name := range maps.Clone(d.files) {
			if link := "usr/bin/" + path.Base(name); matches(pattern, name) && d.files[link].Path == "" {
				d.files[link] = alpm.File{Path: link, Mode: fs.ModeSymlink | 0o777, Target: "/" + name}
			}
		}
	}
	for name, target := range d.links {
		d.files[name] = alpm.File{Path: name, Mode: fs.ModeSymlink | 0o777, Target: target}
	}
	for name, spec := range d.dirs {
		f, err := p.newDir(name, spec, renames)
		if err != nil {
			return fmt.Errorf("directory %s of package %s: %w", name, d.name, err)
		}
		d.files[name] = f
	}
	return nil
}

func (p *partition) newDir(name string, spec dir, renames map[string]string) (alpm.File, error) {
	uid, gid, err := p.account("passwd", spec.owner, renames)
	if err == nil && spec.group != "" {
		gid, _, err = p.account("group", spec.group, renames)
	}
	mode := fs.ModeDir | fs.FileMode(spec.mode&0o777)
	if spec.mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	if spec.mode&0o2000 != 0 {
		mode |= fs.ModeSetgid
	}
	return alpm.File{Path: name, Mode: mode, UID: uid, GID: gid}, err
}

// addOverlay adds the embedded files of the draft's package.
func addOverlay(d *draft) error {
	top := "files/" + d.name
	if _, err := fs.Stat(files, top); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fs.WalkDir(files, top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, top+"/")
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "usr/bin/") || strings.HasPrefix(name, "usr/share/libalpm/scripts/") {
			mode = 0o755
		}
		d.files[name] = alpm.File{Path: name, Mode: mode, Data: data}
		return nil
	})
}

// reachable lists the packages that the roots need, themselves included.
func (p *partition) reachable(roots []string) ([]string, error) {
	seen := map[string]bool{}
	var faults []error
	var visit func(name, by string)
	visit = func(name, by string) {
		if seen[name] {
			return
		}
		d := p.drafts[name]
		if d == nil {
			faults = append(faults, fmt.Errorf("package %s, which %s needs, is not in the tree", name, by))
			return
		}
		seen[name] = true
		d.depends = p.dependencies(d)
		for _, need := range d.depends {
			visit(need, name)
		}
	}
	for _, root := range roots {
		visit(root, "the mirror")
	}
	return slices.Sorted(maps.Keys(seen)), errors.Join(faults...)
}

// conflicts reports paths that two packages claim.
func (p *partition) conflicts(names []string) error {
	owner := map[string]string{}
	var faults []error
	for _, name := range names {
		for file, f := range p.drafts[name].files {
			if f.Mode.IsDir() {
				continue
			}
			if other, taken := owner[file]; taken && file != ".INSTALL" {
				faults = append(faults, fmt.Errorf("%s is in both %s and %s", file, other, name))
			}
			owner[file] = name
		}
	}
	return errors.Join(faults...)
}

// finish turns a draft into a package.
func (p *partition) finish(d *draft) alpm.Package {
	main := d.main()
	built := d.built
	if built.IsZero() {
		built = p.newest()
	}
	pkg := alpm.Package{
		Name: d.name, Arch: "x86_64", Description: d.summary,
		URL: main.homepage, Packager: "archtest <mirror@archtest.invalid>", BuildDate: built,
		Depends: d.depends, Provides: d.provides, Replaces: d.replaces,
	}
	if main.name != "" {
		pkg.Version = archVersion(main.version)
	} else {
		pkg.Version = built.UTC().Format("20060102") + "-1"
	}
	if pkg.Description == "" {
		pkg.Description = main.summary
	}
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[name]
		if name == ".INSTALL" {
			pkg.Install = string(f.Data)
			continue
		}
		if f.ModTime.After(built) {
			f.ModTime = built // made by a maintainer script a moment ago
		}
		if f.Mode.IsRegular() && strings.HasPrefix(name, "etc/") {
			pkg.Backup = append(pkg.Backup, name)
		}
		pkg.Files = append(pkg.Files, f)
	}
	return pkg
}

// main is the .deb that gives the package its version.
func (d *draft) main() deb {
	for _, pattern := range d.debs {
		for _, name := range slices.Sorted(maps.Keys(d.parts)) {
			if ok, _ := path.Match(pattern, name); ok {
				return d.parts[name]
			}
		}
	}
	return d.parts[d.name]
}

// newest is the time of the newest file that came from a .deb of the base.
func (p *partition) newest() time.Time {
	var newest time.Time
	for _, d := range p.drafts {
		if d.layer == 0 && d.built.After(newest) {
			newest = d.built
		}
	}
	return newest
}
