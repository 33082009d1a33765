package snapshot

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest name in bytes, since names become file names.
const maxName = 255

// checkName says why name cannot name a volume or a snapshot: names are single
// path elements that print as one word or line, are no option to a program and
// are not hidden.
func checkName(kind, name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "is empty"
	case len(name) > maxName:
		reason = fmt.Sprintf("is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		reason = "is not valid UTF-8"
	case strings.ContainsRune(name, '/'):
		reason = "contains a slash"
	case name[0] == '.' || name[0] == '-':
		reason = fmt.Sprintf("begins with %q", name[0])
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		reason = "contains a control character"
	default:
		return nil
	}
	return fmt.Errorf("%s name %q %s: %w", kind, abbreviate(name), reason, ErrInvalid)
}

// abbreviate keeps a message readable whatever it quotes.
func abbreviate(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
