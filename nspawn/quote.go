package nspawn

import (
	"fmt"
	"strings"
)

// shellQuote makes one word for a POSIX shell.
func shellQuote(word string) string {
	plain := func(r rune) bool {
		return r < 0x80 && isAlphanumeric(byte(r)) || strings.ContainsRune("@%_+=:,./-", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// escapeColon protects a path in nspawn's colon-separated lists, which read a
// backslash as an escape.
func escapeColon(name string) string {
	return strings.NewReplacer(`\`, `\\`, `:`, `\:`).Replace(name)
}

// escapeC writes bytes as a C string's inside, which --set-credential reads.
func escapeC(value string) string {
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
