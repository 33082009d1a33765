package step

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/internal/shell"
)

// Install installs packages with the machine's own package manager, pacman or apt-get.
// Those that are installed already stay as they are.
type Install struct {
	// Packages are the names that the machine's distribution gives them.
	Packages []string

	// Refresh fetches the lists of packages first.
	Refresh bool
}

// String names the packages.
func (i Install) String() string { return "install " + strings.Join(i.Packages, " ") }

// Validate returns an error that matches [stage.ErrInvalid] if a name is wrong.
func (i Install) Validate() error {
	if len(i.Packages) == 0 {
		return invalid("no packages")
	}
	for _, p := range i.Packages {
		if p == "" || strings.HasPrefix(p, "-") || strings.ContainsAny(p, " \t\n;'\"$`") {
			return invalid("package %q", p)
		}
	}
	return nil
}

// Manual returns the command for pacman.
func (i Install) Manual(string) []stage.Line {
	flags := "-S"
	if i.Refresh {
		flags = "-Sy"
	}
	return typed("pacman %s --needed --noconfirm %s", flags, shell.Join(i.Packages...))
}

// Ingredients adds the names.
func (i Install) Ingredients(r *stage.Recipe) {
	r.Text("packages", strings.Join(i.Packages, "\n"))
	if i.Refresh {
		r.Text("refresh", "yes")
	}
}

const installScript = `refresh=$1; shift
if command -v pacman >/dev/null; then
	exec pacman "-S${refresh:+y}" --needed --noconfirm --noprogressbar -- "$@"
elif command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	[ -z "$refresh" ] || apt-get --quiet update
	exec apt-get --quiet --yes --no-install-recommends install -- "$@"
fi
echo "neither pacman nor apt-get is there" >&2; exit 127`

// Run installs the packages.
func (i Install) Run(ctx context.Context, s *stage.Session) error {
	refresh := ""
	if i.Refresh {
		refresh = "yes"
	}
	return run(ctx, s, append([]string{"sh", "-euc", installScript, "install", refresh}, i.Packages...)...)
}

// sorted yields a map's entries in the order of its keys.
func sorted(m map[string]string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
