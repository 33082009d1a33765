package nspawn

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// program is an installed systemd-nspawn.
type program struct {
	path    string
	version int // of systemd, such as 257
}

// oldest is the first version that has every option that is always given:
// --suppress-sync and --resolv-conf=off among them.
const oldest = 250

// findNspawn looks for systemd-nspawn and asks for its version.
func findNspawn(ctx context.Context) (program, error) {
	path, err := exec.LookPath("systemd-nspawn")
	if err != nil {
		return program{}, &Error{Op: "find systemd-nspawn", Err: err,
			Hint: "install systemd-container (Debian) or systemd (Arch)"}
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return program{}, fmt.Errorf("%s --version: %w", path, err)
	}
	version, err := parseVersion(string(out))
	if err != nil {
		return program{}, fmt.Errorf("%s --version: %w", path, err)
	}
	if version < oldest {
		return program{}, &Error{Op: "use " + path, Err: ErrNotSupported,
			Hint: fmt.Sprintf("it is version %d; at least %d is needed", version, oldest)}
	}
	return program{path: path, version: version}, nil
}

// parseVersion reads "systemd 252 (252.39-1~deb12u2)" and "systemd 257~rc1".
func parseVersion(text string) (int, error) {
	rest, found := strings.CutPrefix(text, "systemd ")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	version, err := strconv.Atoi(rest[:end])
	if !found || err != nil {
		return 0, fmt.Errorf("no version in %q", text)
	}
	return version, nil
}
