package stage

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Difference is what a stage changed.
type Difference struct {
	// Files has every file that differs, by path.
	Files []FileChange

	// Installed and Removed name packages of pacman, with their versions, or of dpkg.
	Installed, Removed []string

	// Enabled and Disabled name systemd units.
	Enabled, Disabled []string

	// Opened and Closed are ports that the machine listened at, such as "tcp
	// 0.0.0.0:80". Both are empty if that is not known of both trees.
	Opened, Closed []string
}

// Summary says in words what came and went, besides files: nothing if nothing did.
func (d *Difference) Summary() string {
	var parts []string
	for _, p := range []struct {
		verb  string
		names []string
	}{
		{"installed", d.Installed}, {"removed", d.Removed}, {"enabled", d.Enabled}, {"disabled", d.Disabled},
		{"listens at", d.Opened}, {"listens no more at", d.Closed},
	} {
		if len(p.names) > 0 {
			parts = append(parts, p.verb+" "+strings.Join(p.names, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// Diff returns what a stage changed: how its snapshot differs from the one before it, or
// of a stage that failed, its tree if Options.KeepFailed kept that. The volume must be a
// [Differ], or the error matches [ErrNotSupported]. A stage that runs services also has
// their traces.
func (l *Lab) Diff(ctx context.Context, stage string) (*Difference, error) {
	t, i, err := l.look(ctx, stage)
	if err != nil {
		return nil, err
	}
	w := t.work[i]
	d, ok := t.target.Volume.(Differ)
	if !ok {
		return nil, &Error{Op: "compare", Machine: t.setup.Machine, Stage: w.Name, Err: ErrNotSupported}
	}
	before, ok := t.newest(w.parent)
	if !ok {
		return nil, t.missing(i - 1)
	}
	after, ok := t.newest(w.key)
	if !ok {
		after, ok = t.failed(w)
	}
	if !ok {
		return nil, t.missing(i)
	}
	files, err := d.Diff(ctx, before.Name, after.Name)
	if err != nil {
		return nil, &Error{Op: "compare", Machine: t.setup.Machine, Stage: w.Name, Err: err}
	}
	out := newDifference(files)
	was, known := l.dir.loadPorts(w.parent)
	is, alsoKnown := l.dir.loadPorts(w.key)
	if known && alsoKnown {
		out.Opened, out.Closed = missingFrom(was, is), missingFrom(is, was)
	}
	return out, nil
}

// failed returns the snapshot that keepFailed took of a stage, if it began with what
// the stage begins with now.
func (t *track) failed(w *work) (Saved, bool) {
	for _, s := range t.saved {
		if s.Name == failedName(w.Name) && s.Parent == w.parent {
			return s, true
		}
	}
	return Saved{}, false
}

func failedName(stage string) string { return "failed-" + stage }

// newDifference says what changed files amount to: packages that came or went and units
// that were enabled or disabled.
func newDifference(files []FileChange) *Difference {
	d := &Difference{Files: files}
	for _, c := range files {
		if c.Kind == Modified {
			continue
		}
		packages, units := &d.Installed, &d.Enabled
		if c.Kind == Removed {
			packages, units = &d.Removed, &d.Disabled
		}
		if name, ok := packageOf(c.Path); ok {
			*packages = append(*packages, name)
		}
		if name, ok := unitOf(c.Path); ok && !slices.Contains(*units, name) {
			*units = append(*units, name)
		}
	}
	return d
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

// missingFrom returns the names that only the second list has.
func missingFrom(list, other []string) (out []string) {
	for _, name := range other {
		if !slices.Contains(list, name) {
			out = append(out, name)
		}
	}
	return out
}

// String returns the change in one line, such as "added /etc/hosts".
func (c FileChange) String() string { return fmt.Sprintf("%s %s", c.Kind, c.Path) }
