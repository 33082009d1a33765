package netsetup

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
