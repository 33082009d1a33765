package netsetup

import (
	"bufio"
	"io"
	"path"
	"slices"
	"strings"
)

// match is a [Match] section of a .network file: see systemd.network(5).
type match struct {
	lists map[string][]string // patterns by key; "!" before one inverts it
	set   bool                // there is at least one setting
}

// verdict is what can be said of a match without being networkd.
type verdict int

const (
	no verdict = iota
	unknown
	yes
)

// matchLists are the keys whose value is a list of patterns, which may be
// inverted as a whole.
var matchLists = []string{"Name", "Type", "Kind", "Driver", "Path", "MACAddress", "PermanentMACAddress",
	"WLANInterfaceType", "SSID", "BSSID", "Property"}

// read adds the [Match] sections of a file or drop-in, in the way of systemd's
// own parser: continued lines, comments, and an empty value that forgets what
// came before.
func (m *match) read(r io.Reader) error {
	section, carry := "", ""
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line != "" && (line[0] == '#' || line[0] == ';') {
			continue // also in the middle of a continued line
		}
		if continued, ok := strings.CutSuffix(line, `\`); ok {
			carry += continued + " "
			continue
		}
		line, carry = strings.TrimSpace(carry+line), ""
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if ok && section == "Match" {
			m.assign(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
	return s.Err()
}

func (m *match) assign(key, value string) {
	if m.lists == nil {
		m.lists = make(map[string][]string)
	}
	if value == "" {
		delete(m.lists, key)
		return
	}
	invert := ""
	if rest, ok := strings.CutPrefix(value, "!"); ok && slices.Contains(matchLists, key) {
		invert, value = "!", rest
	}
	for _, word := range strings.Fields(value) {
		m.lists[key] = append(m.lists[key], invert+unquote(word))
	}
	m.set = true
}

// unquote takes the quotes off a word; patterns with spaces in them match no
// interface.
func unquote(word string) string { return strings.Trim(word, `"'`) }

// matches says whether m matches an interface of a name and kind. A section
// that says nothing matches nothing: see net_match_is_empty in systemd.
func (m *match) matches(name, kind string) verdict {
	if len(m.lists) == 0 {
		return no
	}
	result := yes
	for key, patterns := range m.lists {
		switch key {
		case "Name":
			if !matchList(patterns, name) {
				return no
			}
		case "Type", "Kind", "Driver":
			if !matchList(patterns, kind) {
				return no
			}
		case "WLANInterfaceType", "SSID", "BSSID", "Path":
			if !matchList(patterns, "") { // a bridge has none
				return no
			}
		default:
			// Of the interface's address, the host or its kernel.
			result = unknown
		}
	}
	return result
}

// matchList is net_condition_test_strv in systemd: one inverted pattern that
// matches decides; else one plain pattern has to match, if there is any.
func matchList(patterns []string, s string) bool {
	matched, plain := false, false
	for _, p := range patterns {
		pattern, inverted := strings.CutPrefix(p, "!")
		plain = plain || !inverted
		if s != "" && glob(pattern, s) {
			if inverted {
				return false
			}
			matched = true
		}
	}
	return matched || !plain
}

// glob is fnmatch(3) for names without a slash. A malformed pattern matches
// itself only.
func glob(pattern, s string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), s)
	if err != nil {
		return pattern == s
	}
	return ok
}
