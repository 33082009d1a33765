package archtest

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/prologin/rig/archboot/archtest/alpm"
	"github.com/prologin/rig/archboot/archtest/internal/debian"
)

// Suite is what a mirror is made from.
type Suite string

// The suites, by the versions of pacman and systemd that a machine installed from
// the mirror gets.
const (
	// Synthetic has no base system: only [Options.Packages]. It needs no
	// privileges, no program and no network, and starts within milliseconds.
	Synthetic Suite = "synthetic"
	Bookworm  Suite = "bookworm" // pacman 6.0, systemd 252
	Trixie    Suite = "trixie"   // pacman 7.0, systemd 257; the default
	Sid       Suite = "sid"      // pacman and systemd of the day, closest to Arch
)

// Options says which mirror to start. The zero value is a mirror of the default
// suite without add-ons on a free port of 127.0.0.1.
type Options struct {
	// Suite defaults to [Trixie].
	Suite Suite
	// AddOns are further packages of repository extra, by their Arch names; see
	// [AddOns]. Each adds a second or more to the first start. The mirror may
	// have others as well.
	AddOns []string
	// Packages are made when the mirror starts and served from the repository
	// that Repository names.
	Packages   []alpm.Package
	Repository string // default "test"

	// Upstream makes the mirror pass on what a real one has, instead of a Suite.
	Upstream *Upstream

	// ExpiredKey makes the key of a synthetic mirror one that has expired since it
	// signed the packages.
	ExpiredKey bool

	// Listen is the address to serve on; default "127.0.0.1:0", a free port.
	Listen string
	// Netns is the path of a network namespace to listen in, such as
	// /proc/PID/ns/net. Empty means the caller's own.
	Netns string

	// CacheDir keeps built mirrors from one run to the next. It defaults to
	// /var/cache/rig for root and to rig below [os.UserCacheDir] for others.
	CacheDir string
	// DebianMirror is the URI of the Debian archive to build from. It defaults
	// to the one in the host's apt configuration, and without such to
	// mmdebstrap's own default. Proxies named in the environment are used.
	DebianMirror string

	// Progress is called, from one goroutine at a time, for each step of a build.
	Progress func(Event)
	// Logger gets what Progress gets and each request at level debug; nil is silent.
	Logger *slog.Logger
}

// AddOns lists the names that [Options] may have in AddOns for a suite.
func AddOns(suite Suite) []string {
	switch suite {
	case Synthetic:
		return nil
	case "":
		suite = Trixie
	}
	return debian.AddOns(string(suite))
}

// repositoryName is the form of a repository's name, as of a package's.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9@_+][A-Za-z0-9@._+-]*$`)

// takenNames are those of the suites' repositories, and what means something else to pacman.
var takenNames = []string{"core", "extra", "options", "local"}

// Validate reports every fault of the options at once. All wrap [ErrInvalid].
func (o Options) Validate() error {
	var faults []error
	if o.Upstream != nil {
		faults = o.Upstream.faults(o)
	}
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
	}
	if !slices.Contains([]Suite{"", Synthetic, Bookworm, Trixie, Sid}, o.Suite) {
		fault("suite %q: have synthetic, bookworm, trixie, sid", o.Suite)
	}
	for _, name := range o.AddOns {
		if have := AddOns(o.Suite); !slices.Contains(have, name) {
			fault("add-on %q: suite %s has %q", name, cmp.Or(o.Suite, Trixie), have)
		}
	}
	if o.ExpiredKey && o.Suite != Synthetic {
		fault("only a synthetic mirror can have an expired key")
	}
	if name := o.Repository; name != "" && !repositoryName.MatchString(name) || slices.Contains(takenNames, name) {
		fault("repository name %q", name)
	}
	if o.CacheDir != "" && !filepath.IsAbs(o.CacheDir) {
		fault("cache directory %q is not absolute", o.CacheDir)
	}
	seen := map[string]bool{}
	for _, p := range o.Packages {
		if err := p.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("%w: %w", ErrInvalid, err))
		}
		if seen[p.Name] {
			fault("package %q is given twice", p.Name)
		}
		seen[p.Name] = true
	}
	return errors.Join(faults...)
}

// withDefaults fills in what the caller left to us.
func (o Options) withDefaults() (Options, error) {
	if o.Suite == "" && o.Upstream == nil {
		o.Suite = Trixie
	}
	if o.Repository == "" {
		o.Repository = "test"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.CacheDir == "" && o.Suite != Synthetic && o.Upstream == nil {
		dir, err := defaultCacheDir()
		if err != nil {
			return o, err
		}
		o.CacheDir = dir
	}
	return o, nil
}

func defaultCacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/rig", nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "rig"), err
}
