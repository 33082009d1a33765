package nspawn

import (
	"strings"
)

// words splits at spaces outside quotes.
func (p *settingsReader) words(value string) (words []string) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, c := range value {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	if quote != 0 {
		p.fault("a quote is not closed in %q", value)
	}
	return words
}

// splitColons splits a list at colons without a backslash before them, into at
// most n parts, the last of which is taken as it is; -1 means any number.
func splitColons(list string, n int) (parts []string) {
	var part strings.Builder
	for i := 0; i < len(list); i++ {
		switch {
		case len(parts) == n-1:
			return append(parts, list[i:])
		case list[i] == '\\' && i+1 < len(list):
			i++
			part.WriteByte(list[i])
		case list[i] == ':':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(list[i])
		}
	}
	return append(parts, part.String())
}

// unlessDefault makes the zero value of what is the default anyway.
func unlessDefault(value, otherwise string) string {
	if value == otherwise {
		return ""
	}
	return value
}

func nonEmpty(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	return words
}
