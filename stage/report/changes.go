package report

import (
	"path"
	"strings"

	"github.com/prologin/rig/stage"
)

// meaning says in words what changed files amount to: packages that came or went and
// units that were enabled or disabled, in the order of the files.
func meaning(changes []stage.FileChange) []string {
	var out []string
	for _, c := range changes {
		if c.Kind == stage.Modified {
			continue
		}
		if name, ok := packageOf(c.Path); ok {
			out = append(out, pick(c, "installed ", "removed ")+name)
		}
		if name, ok := unitOf(c.Path); ok {
			out = append(out, pick(c, "enabled ", "disabled ")+name)
		}
	}
	return out
}

func pick(c stage.FileChange, added, removed string) string {
	if c.Kind == stage.Added {
		return added
	}
	return removed
}

// packageOf recognizes the one file that a package manager keeps for each package.
func packageOf(file string) (string, bool) {
	dir, base := path.Split(file)
	switch {
	case dir == "/var/lib/dpkg/info/":
		return strings.CutSuffix(base, ".list")
	case base == "desc" && strings.HasPrefix(dir, "/var/lib/pacman/local/"):
		return path.Base(dir), true
	}
	return "", false
}

// unitOf recognizes the links by which systemctl enables a unit.
func unitOf(file string) (string, bool) {
	dir, base := path.Split(file)
	dir, ok := strings.CutPrefix(strings.TrimSuffix(dir, "/"), "/etc/systemd/system/")
	return base, ok && (strings.HasSuffix(dir, ".wants") || strings.HasSuffix(dir, ".requires"))
}
