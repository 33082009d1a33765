package netsetup

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// maxName is the longest name of a network interface, in bytes: IFNAMSIZ less
// the terminating zero.
const maxName = 15

// checkName refuses names that the kernel refuses ('/', ':', space, 16 bytes),
// that it expands ('%'), that iptables takes for a wildcard ('+'), and that mean
// something else under /proc/sys ("all", "default").
func checkName(what, name string) error {
	switch name {
	case "":
		return invalid("%s has no name", what)
	case "all", "default", "lo":
		return invalid("%s may not be called %q", what, name)
	}
	if len(name) > maxName {
		return invalid("%s name %q has %d bytes, %d are the limit", what, name, len(name), maxName)
	}
	if name[0] == '.' || name[0] == '-' {
		return invalid("%s name %q may not begin with %q", what, name, name[0])
	}
	for _, c := range []byte(name) {
		if !nameByte(c) {
			return invalid("%s name %q has a %q: only letters, digits, '.', '_' and '-'", what, name, c)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '.' || c == '_' || c == '-'
}

// InterfaceName returns the name of a machine's interface: the machine's name
// and a suffix such as ".bridge" if both fit into 15 bytes, and else as much of
// the machine's name as there is room for beside five characters that stand for
// the whole of it. It is the same every time. The full name becomes the
// interface's second one (see ip-link(8), altname).
func InterfaceName(machine, suffix string) string {
	if len(machine)+len(suffix) <= maxName {
		return machine + suffix
	}
	sum := sha256.Sum256([]byte(machine))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:5]
	room := max(0, maxName-len(suffix)-len(hash))
	return machine[:min(room, len(machine))] + hash + suffix
}

// checkMachine refuses what is no host name, which nspawn asks of a machine's.
func checkMachine(name string) error {
	if name == "" || len(name) > 64 || name[0] == '.' || name[0] == '-' {
		return invalid("machine name %q: 1 to 64 letters, digits, '.', '_' and '-', and no '.' or '-' first", name)
	}
	for _, c := range []byte(name) {
		if !nameByte(c) {
			return invalid("machine name %q has a %q: only letters, digits, '.', '_' and '-'", name, c)
		}
	}
	return nil
}
