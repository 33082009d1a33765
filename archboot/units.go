package archboot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/prologin/rig/internal/intree"
	"github.com/prologin/rig/internal/nearest"
)

// unitDirs are where unit files are looked for, the first one wins, see
// systemd.unit(5).
var unitDirs = []string{"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

const systemUnits = "/etc/systemd/system"

// enableUnits does what "systemctl enable" does, in a root whose systemd does not
// run: it makes the symlinks that the [Install] sections ask for, also those of
// the units named by Also=.
func enableUnits(t *intree.Tree, units []string) error {
	seen := make(map[string]bool)
	for queue := slices.Clone(units); len(queue) > 0; queue = queue[1:] {
		unit := queue[0]
		if seen[unit] {
			continue
		}
		seen[unit] = true
		also, err := enableUnit(t, unit)
		if errors.Is(err, ErrNotFound) && !slices.Contains(units, unit) {
			continue // an Also= may name what is in no package here
		}
		if err != nil {
			return err
		}
		queue = append(queue, also...)
	}
	return nil
}

// enableUnit enables one unit and returns the ones to enable with it.
func enableUnit(t *intree.Tree, unit string) (also []string, err error) {
	file, err := findUnit(t, unit)
	if err != nil {
		return nil, err
	}
	data, err := t.ReadFile(file)
	if err != nil {
		return nil, err
	}
	in := parseInstall(string(data))
	name := unit
	switch {
	case isTemplate(unit) && in.instance == "":
		return nil, fmt.Errorf("%w: unit %s is a template: name an instance of it", ErrInvalid, unit)
	case isTemplate(unit):
		name = strings.Replace(unit, "@.", "@"+in.instance+".", 1)
	case !strings.Contains(unit, "@"):
		name = path.Base(file) // differs where unit is an alias
	}
	for _, n := range append([]string{name}, in.also...) {
		if !unitPattern.MatchString(n) {
			return nil, fmt.Errorf("%w: unit %s leads to %q, which is no unit's name", ErrInvalid, unit, n)
		}
	}
	for _, l := range in.links(name) {
		if err := link(t, file, l); err != nil {
			return nil, err
		}
	}
	return in.also, nil
}

// link makes a symlink below /etc/systemd/system to the unit file.
func link(t *intree.Tree, file, name string) error {
	full := path.Join(systemUnits, name)
	if full == file {
		return nil // an alias of its own name
	}
	if err := t.MkdirAll(path.Dir(full), 0o755); err != nil {
		return err
	}
	return t.Symlink(file, full)
}

// unitNames are the names that a unit's file may have: its own and its template's.
func unitNames(unit string) []string {
	names := []string{unit}
	if at := strings.IndexByte(unit, '@'); at >= 0 {
		names = append(names, unit[:at+1]+unit[strings.LastIndexByte(unit, '.'):])
	}
	return names
}

// findUnit returns the path of a unit's file, aliases resolved.
func findUnit(t *intree.Tree, unit string) (string, error) {
	for _, name := range unitNames(unit) {
		for _, dir := range unitDirs {
			file := dir + "/" + name
			if _, err := t.Lstat(file); err != nil {
				continue
			}
			return followAlias(t, file)
		}
	}
	return "", missing("unit", unit, nearest.Names(unit, allUnits(t)))
}

// allUnits lists the names in the unit directories.
func allUnits(t *intree.Tree) []string {
	var names []string
	for _, dir := range unitDirs {
		d, _, err := t.Parent(dir + "/x")
		if err != nil {
			continue // not every root has all of them
		}
		entries, _ := os.ReadDir(procPath(d))
		d.Close()
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	return names
}

// followAlias resolves a unit file that is a symlink to another.
func followAlias(t *intree.Tree, file string) (string, error) {
	for range 8 {
		target, err := t.Readlink(file)
		if err != nil {
			return file, nil // a regular file
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(file), target)
		}
		if target == "/dev/null" {
			return "", fmt.Errorf("%w: unit %s is masked", ErrInvalid, path.Base(file))
		}
		file = target
	}
	return "", fmt.Errorf("%w: unit %s is a loop of symlinks", ErrInvalid, path.Base(file))
}

// isTemplate says that a name is that of a template, without an instance.
func isTemplate(unit string) bool { return strings.Contains(unit, "@.") }

// install is the [Install] section of a unit file.
type install struct {
	alias    []string
	also     []string
	instance string              // DefaultInstance=
	wanted   map[string][]string // by the suffix of the directory: wants, requires, upholds
}

// parseInstall reads the section. Assigning nothing resets a list.
func parseInstall(data string) install {
	in := install{wanted: make(map[string][]string)}
	data = strings.ReplaceAll(data, "\\\n", " ")
	section := ""
	for line := range strings.Lines(data) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, ok := strings.Cut(line, "=")
		if section != "[Install]" || !ok || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, words := strings.TrimSpace(key), strings.Fields(value)
		switch key {
		case "Alias":
			in.alias = assign(in.alias, words)
		case "Also":
			in.also = assign(in.also, words)
		case "DefaultInstance":
			in.instance = strings.TrimSpace(value)
		case "WantedBy", "RequiredBy", "UpheldBy":
			suffix := map[string]string{"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}[key]
			in.wanted[suffix] = assign(in.wanted[suffix], words)
		}
	}
	return in
}

func assign(list, words []string) []string {
	if len(words) == 0 {
		return nil
	}
	return append(list, words...)
}

// links returns the names, below /etc/systemd/system, of the symlinks that enable
// the unit called name.
func (in install) links(name string) []string {
	var list []string
	for _, a := range in.alias {
		list = append(list, specifiers(a, name))
	}
	for _, suffix := range []string{"wants", "requires", "upholds"} {
		for _, target := range in.wanted[suffix] {
			list = append(list, path.Base(specifiers(target, name))+"."+suffix+"/"+name)
		}
	}
	for i, l := range list {
		list[i] = path.Clean("/" + l)[1:]
	}
	return list
}

// specifiers expands the ones that make sense in an [Install] section.
func specifiers(s, unit string) string {
	dot := strings.LastIndexByte(unit, '.')
	prefix, instance, _ := strings.Cut(unit[:dot], "@")
	return strings.NewReplacer("%%", "%", "%n", unit, "%N", unit[:dot], "%p", prefix, "%i", instance, "%I", instance, "%j", prefix[strings.LastIndexByte(prefix, '-')+1:]).Replace(s)
}
