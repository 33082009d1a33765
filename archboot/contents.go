package archboot

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/prologin/rig/internal/nearest"
)

// A contents is the set of paths that packages bring, without a leading slash.
type contents map[string]bool

// readContents reads what the package files in a directory are going to install. Each
// has a list of its files near its beginning, so that only that has to be unpacked.
// It returns nil where one of them cannot be read so, such as those compressed by xz
// that were made before 2020, or where none is named: then nothing is known.
func readContents(ctx context.Context, dir string, names []string) contents {
	lists := make([][]string, len(names))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		readers.Go(func() (err error) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			lists[i], err = listPackage(filepath.Join(dir, name))
			return err
		})
	}
	if readers.Wait() != nil || len(names) == 0 {
		return nil
	}
	all := make(contents)
	for _, list := range lists {
		for _, name := range list {
			all[name] = true
		}
	}
	return all
}

// listPackage returns the paths in a package's .MTREE.
func listPackage(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	plain, err := decompress(f)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	r := tar.NewReader(plain)
	for {
		h, err := r.Next()
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(h.Name, ".") {
			return nil, fmt.Errorf("%s: no list of files before %s", name, h.Name)
		}
		if h.Name == ".MTREE" {
			return listMtree(r)
		}
	}
}

// listMtree returns the paths of a compressed mtree(5), less the package's own files.
func listMtree(compressed io.Reader) ([]string, error) {
	plain, err := gzip.NewReader(compressed)
	if err != nil {
		return nil, err
	}
	var list []string
	s := bufio.NewScanner(plain)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		name, _, _ := strings.Cut(s.Text(), " ")
		if strings.HasPrefix(name, "./") && !strings.HasPrefix(name, "./.") {
			list = append(list, unescape(name[2:]))
		}
	}
	return list, s.Err()
}

// below returns the paths below a directory, relative to it.
func (c contents) below(dir string) []string {
	var names []string
	for name := range c {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			names = append(names, rest)
		}
	}
	return names
}

// check finds out whether the packages bring what the Config names, so that a typing
// error is known before anything is installed. What none of the packages is about, such
// as time zones where there is no tzdata, is left for later.
func (c contents) check(config Config) error {
	errs := []error{c.checkZone(config.TimeZone), c.checkLocale(config.Locale), c.checkKeymap(config.Keymap)}
	for _, unit := range config.Services {
		errs = append(errs, c.checkUnit(unit, config.Files))
	}
	return errors.Join(errs...)
}

func (c contents) checkZone(zone string) error {
	zones := c.below(zoneDir[1:])
	if zone == "UTC" || len(zones) == 0 || c[zoneDir[1:]+"/"+zone] {
		return nil
	}
	var near []string
	for _, z := range zones {
		if strings.Contains(z, "/") && !strings.HasPrefix(z, "posix/") && !strings.HasPrefix(z, "right/") {
			near = append(near, z)
		}
	}
	return missing("time zone", zone, nearest.Names(zone, near))
}

// checkLocale looks for the two files that a locale is generated from: en_US.UTF-8 is
// made of locales/en_US and charmaps/UTF-8.gz, de_DE@euro of locales/de_DE@euro.
func (c contents) checkLocale(locale string) error {
	const dir = "usr/share/i18n/"
	definitions := c.below(dir + "locales")
	if builtIn(locale) || len(definitions) == 0 {
		return nil
	}
	name, modifier, _ := strings.Cut(locale, "@")
	name, charset, _ := strings.Cut(name, ".")
	known := c[dir+"locales/"+name] || modifier != "" && c[dir+"locales/"+name+"@"+modifier]
	if known && (charset == "" || c[dir+"charmaps/"+charset] || c[dir+"charmaps/"+charset+".gz"]) {
		return nil
	}
	var names []string
	for _, d := range definitions {
		if strings.Contains(d, "_") && !strings.Contains(d, "translit") {
			names = append(names, d+".UTF-8")
		}
	}
	return missing("locale", locale, nearest.Names(locale, names))
}

func (c contents) checkKeymap(keymap string) error {
	var names []string
	for _, file := range c.below("usr/share/kbd/keymaps") {
		name, _, ok := strings.Cut(path.Base(file), ".map")
		if name == keymap {
			return nil
		}
		if ok {
			names = append(names, name)
		}
	}
	if keymap == "" || len(names) == 0 {
		return nil
	}
	return missing("keymap", keymap, nearest.Names(keymap, names))
}

// checkUnit looks for a unit file, also among the extra ones of the Config.
func (c contents) checkUnit(unit string, files []File) error {
	var names []string
	for _, dir := range unitDirs {
		names = append(names, c.below(dir[1:])...)
		for _, f := range files {
			if path.Dir(f.Path) == dir {
				names = append(names, path.Base(f.Path))
			}
		}
	}
	for _, want := range unitNames(unit) {
		for _, name := range names {
			if name == want {
				return nil
			}
		}
	}
	return missing("unit", unit, nearest.Names(unit, names))
}
