package debian

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prologin/rig/archboot/archtest/alpm"
)

// baseUsers renames the base's accounts to Arch's.
var baseUsers = map[string]string{"www-data": "http"}

// accounts are the lines of passwd or group by name, fields split.
type accounts map[string][]string

func readAccounts(file string, rename map[string]string) (accounts, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := accounts{}
	for line := range strings.Lines(renameAccounts(string(text), rename)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		all[fields[0]] = fields
	}
	return all, nil
}

// renameAccounts renames users and groups in any of the four account files, as
// names of entries and as members.
func renameAccounts(text string, rename map[string]string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if to, ok := rename[fields[0]]; ok {
			fields[0] = to
		}
		last := len(fields) - 1
		members := strings.Split(fields[last], ",")
		for i, m := range members {
			if to, ok := rename[m]; ok {
				members[i] = to
			}
		}
		fields[last] = strings.Join(members, ",")
		b.WriteString(strings.Join(fields, ":") + "\n")
	}
	return b.String()
}

// baseAccounts adds the four account files to package filesystem. As in Arch,
// root has an empty password until somebody sets one.
func (p *partition) baseAccounts(d *draft) error {
	for _, name := range []string{"passwd", "group", "shadow", "gshadow"} {
		f, err := p.file("etc/"+name, 0)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(f.Source)
		if err != nil {
			return err
		}
		edited := renameAccounts(string(text), baseUsers)
		edited = dropAccount(edited, "_apt")
		edited = strings.ReplaceAll(edited, "/var/www:", "/srv/http:")
		edited = strings.ReplaceAll(edited, "/usr/sbin/nologin", "/usr/bin/nologin")
		if name == "shadow" {
			edited = "root::" + passwordDay + "::::::\n" + undate(dropAccount(edited, "root"))
		}
		f.Source, f.Data = "", []byte(edited)
		d.files[f.Path] = f
	}
	return nil
}

// passwordDay is the day since 1970 on which passwords were set last: any, but the
// same in every mirror.
const passwordDay = "14871"

// undate sets that day in the lines of a shadow file.
func undate(shadow string) string {
	var b strings.Builder
	for line := range strings.Lines(shadow) {
		fields := strings.Split(line, ":")
		if len(fields) > 2 {
			fields[2] = passwordDay
		}
		b.WriteString(strings.Join(fields, ":"))
	}
	return b.String()
}

func dropAccount(text, name string) string {
	lines := slices.Collect(strings.Lines(text))
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") })
	return strings.Join(lines, "")
}

// sysusers renders the accounts that an add-on brought, with fixed numbers, since
// files in its packages have them as owners.
func (p *partition) sysusers(a addon, layer int) (*alpm.File, error) {
	read := func(n int, name string) (accounts, error) {
		return readAccounts(filepath.Join(p.layers[n].dir, "etc", name), a.users)
	}
	var text strings.Builder
	for _, kind := range []string{"group", "passwd"} {
		old, err := read(layer-1, kind)
		if err != nil {
			return nil, err
		}
		now, err := read(layer, kind)
		if err != nil {
			return nil, err
		}
		var lines []string
		for name, f := range now {
			switch {
			case old[name] != nil:
			case kind == "group":
				lines = append(lines, fmt.Sprintf("g %s %s\n", name, f[2]))
			default:
				lines = append(lines, fmt.Sprintf("u %s %s:%s %q %s %s\n", name, f[2], f[3], f[4], a.home(name, f[5]), canonicalShell(f[6])))
			}
		}
		slices.Sort(lines)
		text.WriteString(strings.Join(lines, ""))
	}
	if text.Len() == 0 {
		return nil, nil
	}
	return &alpm.File{Path: "usr/lib/sysusers.d/" + a.name + ".conf", Mode: 0o644, Data: []byte(text.String())}, nil
}

func (a addon) home(name, dir string) string {
	switch {
	case a.homes[name] != "":
		return a.homes[name]
	case dir == "" || dir == "/nonexistent":
		return "/"
	}
	return dir
}

func canonicalShell(shell string) string {
	return "/" + canonical(strings.TrimPrefix(shell, "/"))
}

// account looks a user, or in file group a group, up in the finished tree.
func (p *partition) account(file, name string, rename map[string]string) (id, gid int, err error) {
	if name == "" || name == "root" {
		return 0, 0, nil
	}
	all := maps.Clone(baseUsers)
	maps.Copy(all, rename)
	entries, err := readAccounts(filepath.Join(p.root, "etc", file), all)
	if err != nil {
		return 0, 0, err
	}
	f := entries[name]
	if len(f) < 4 {
		return 0, 0, fmt.Errorf("no %s in the tree's %s", name, file)
	}
	if id, err = strconv.Atoi(f[2]); err == nil && file == "passwd" {
		gid, err = strconv.Atoi(f[3])
	}
	return id, gid, err
}
