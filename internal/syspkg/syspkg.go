package syspkg

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Need is one file that a host package brings.
type Need struct {
	// File is a program looked up in PATH, or an absolute path. Where releases differ,
	// several paths stand as in PATH, and one of them is enough.
	File string
	// Debian and Arch name the package that has the file. Empty means that the
	// distribution has no use for it or no package of it.
	Debian, Arch string
}

// present reports whether the file is there. The sbin directories are looked at
// besides PATH because an unprivileged user's PATH lacks them on Debian.
func (n Need) present() bool {
	if filepath.IsAbs(n.File) {
		return slices.ContainsFunc(filepath.SplitList(n.File), func(path string) bool {
			_, err := os.Stat(path)
			return err == nil
		})
	}
	if _, err := exec.LookPath(n.File); err == nil {
		return true
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if _, err := exec.LookPath(filepath.Join(dir, n.File)); err == nil {
			return true
		}
	}
	return false
}

// A Manager is the host's package manager.
type Manager struct {
	name    string
	refresh []string
	install []string
	environ []string
	hint    string // what to do where installing fails
	pkg     func(Need) string
}

// Detect returns the manager of this host. apt is looked for first, since
// Debian packages pacman too.
func Detect() (Manager, error) {
	for _, m := range []Manager{
		{
			name:    "apt-get",
			refresh: []string{"apt-get", "update", "-qq"},
			install: []string{"apt-get", "install", "-y", "-qq", "--no-install-recommends"},
			environ: []string{"DEBIAN_FRONTEND=noninteractive"},
			pkg:     func(n Need) string { return n.Debian },
		},
		{
			name: "pacman",
			// Newer databases without an upgrade would be a partial upgrade, which Arch knows
			// none of.
			install: []string{"pacman", "-S", "--needed", "--noconfirm"},
			hint:    "pacman -Syu brings databases and packages up to date",
			pkg:     func(n Need) string { return n.Arch },
		},
	} {
		if _, err := exec.LookPath(m.name); err == nil {
			return m, nil
		}
	}
	return Manager{}, fmt.Errorf("neither apt-get nor pacman found: %w", exec.ErrNotFound)
}

// Missing returns the packages of those needs that are not met, sorted and each
// once.
func (m Manager) Missing(needs []Need) []string {
	var packages []string
	for _, n := range needs {
		if pkg := m.pkg(n); pkg != "" && !n.present() {
			packages = append(packages, pkg)
		}
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

// A MissingError says that packages are missing and may not be installed.
type MissingError struct {
	Packages []string
	command  []string
}

// Error names the packages and the command that installs them.
func (e *MissingError) Error() string {
	return fmt.Sprintf("missing packages: %s; install them with: %s",
		strings.Join(e.Packages, " "), strings.Join(slices.Concat(e.command, e.Packages), " "))
}
