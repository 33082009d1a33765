package archboot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// hostPackages names the packages that hold the programs we need, on Debian and
// on Arch.
var hostPackages = map[string][2]string{
	"pacman": {"pacman-package-manager", "pacman"},
	"gpg":    {"gnupg", "gnupg"},
	"sh":     {"dash", "bash"},
	"mount":  {"mount", "util-linux"},
	"cat":    {"coreutils", "coreutils"},
	"cp":     {"coreutils", "coreutils"},
}

// needPrograms wants all of the programs on this host and names every one that
// is not.
func needPrograms(names ...string) error {
	var errs []error
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		p := hostPackages[name]
		errs = append(errs, fmt.Errorf("%w: %s (package %s on Debian, %s on Arch)", ErrMissingProgram, name, p[0], p[1]))
	}
	return errors.Join(errs...)
}

// procPath names an open file, also one opened with O_PATH.
func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }
