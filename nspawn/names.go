package nspawn

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machineNameProblem says what makes a name unfit for a machine or host, or ""
// if nothing does. The rule is that of hostname_is_valid() in systemd.
func machineNameProblem(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > 64:
		return fmt.Sprintf("%q is longer than 64 bytes", name)
	case name == ".host":
		return "\".host\" means the host itself"
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" {
			return fmt.Sprintf("%q has a dot at an end or next to another", name)
		}
		if label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Sprintf("%q has a part that starts or ends with '-'", name)
		}
		for i := range len(label) {
			if !isAlphanumeric(label[i]) && label[i] != '-' && label[i] != '_' {
				return fmt.Sprintf("%q holds %q; only letters, digits, '-', '_' and '.' are allowed", name, label[i])
			}
		}
	}
	return ""
}

// interfaceNameProblem is the kernel's rule for names of network interfaces.
func interfaceNameProblem(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > unix.IFNAMSIZ-1:
		return fmt.Sprintf("%q is longer than %d bytes", name, unix.IFNAMSIZ-1)
	case name == "." || name == ".." || name == "all" || name == "default":
		return fmt.Sprintf("%q is reserved", name)
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' || strings.IndexByte("/:%", name[i]) >= 0 {
			return fmt.Sprintf("%q holds %q", name, name[i])
		}
	}
	if strings.Trim(name, "0123456789") == "" {
		return fmt.Sprintf("%q is all digits", name)
	}
	return ""
}

func isMachineID(id string) bool {
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" && strings.Trim(id, "0") != ""
}

func isEnvironmentName(name string) bool {
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && name[i] != '_' {
			return false
		}
	}
	return name != "" && (name[0] < '0' || name[0] > '9')
}

func isSystemCall(name string) bool {
	name = strings.TrimPrefix(name, "@")
	for i := range len(name) {
		if !isAlphanumeric(name[i]) && name[i] != '_' && name[i] != '-' {
			return false
		}
	}
	return name != ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// hasControl reports bytes that could end a line or a string.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// The real-time signals as the C library numbers them, which keeps the first
// two of the kernel's for itself.
const (
	sigrtmin = unix.Signal(34)
	sigrtmax = unix.Signal(64)
)

// parseSignal understands "SIGTERM", "TERM", "SIGRTMIN+4", "SIGRTMAX-1" and "15".
func parseSignal(text string) (unix.Signal, error) {
	name := strings.TrimPrefix(text, "SIG")
	if number, err := strconv.Atoi(name); err == nil && number > 0 && unix.Signal(number) <= sigrtmax {
		return unix.Signal(number), nil
	}
	if signal := unix.SignalNum("SIG" + name); signal != 0 {
		return signal, nil
	}
	base, sign := sigrtmin, 1
	rest, found := strings.CutPrefix(name, "RTMIN")
	if !found {
		base, sign = sigrtmax, -1
		rest, found = strings.CutPrefix(name, "RTMAX")
	}
	offset := 0
	if found && rest != "" {
		var err error
		if offset, err = strconv.Atoi(rest); err != nil || offset*sign < 0 || (rest[0] != '+' && rest[0] != '-') {
			found = false
		}
	}
	signal := base + unix.Signal(offset)
	if !found || signal < sigrtmin || signal > sigrtmax {
		return 0, fmt.Errorf("%q is no signal", text)
	}
	return signal, nil
}
