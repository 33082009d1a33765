package debian

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// suites of Debian's archive, by which its entries in apt's configuration are told
// from other repositories.
var suites = []string{"bullseye", "bookworm", "trixie", "forky", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable"}

// hostMirror returns the URI of the Debian archive that this host's apt is
// configured with, "" when there is none: then mmdebstrap uses its default.
func hostMirror(etc string) string {
	lists, _ := filepath.Glob(filepath.Join(etc, "sources.list.d/*.list"))
	for _, name := range append([]string{filepath.Join(etc, "sources.list")}, lists...) {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if uri := mirrorOfLine(line); uri != "" {
				return resolveMirror(uri)
			}
		}
	}
	stanzas, _ := filepath.Glob(filepath.Join(etc, "sources.list.d/*.sources"))
	for _, name := range stanzas {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for stanza := range strings.SplitSeq(string(text), "\n\n") {
			if uri := mirrorOfStanza(stanza); uri != "" {
				return resolveMirror(uri)
			}
		}
	}
	return ""
}

// mirrorOfLine reads "deb [options] URI suite component…".
func mirrorOfLine(line string) string {
	line, _, _ = strings.Cut(line, "#")
	if i, j := strings.IndexByte(line, '['), strings.IndexByte(line, ']'); i >= 0 && j > i {
		line = line[:i] + line[j+1:]
	}
	fields := strings.Fields(line)
	if len(fields) < 4 || fields[0] != "deb" || !slices.Contains(fields[3:], "main") || !slices.Contains(suites, fields[2]) {
		return ""
	}
	return fields[1]
}

// mirrorOfStanza reads a paragraph of sources.list(5)'s deb822 form.
func mirrorOfStanza(stanza string) string {
	values := map[string][]string{}
	key := ""
	for line := range strings.Lines(stanza) {
		line = strings.TrimSuffix(line, "\n")
		switch name, value, ok := strings.Cut(line, ":"); {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " "), strings.HasPrefix(line, "\t"):
			values[key] = append(values[key], strings.Fields(line)...)
		case ok:
			key = strings.ToLower(name)
			values[key] = strings.Fields(value)
		}
	}
	known := slices.ContainsFunc(values["suites"], func(s string) bool { return slices.Contains(suites, s) })
	disabled := len(values["enabled"]) > 0 && values["enabled"][0] == "no"
	if disabled || !known || len(values["uris"]) == 0 ||
		!slices.Contains(values["types"], "deb") || !slices.Contains(values["components"], "main") {
		return ""
	}
	return values["uris"][0]
}

// resolveMirror reads the first entry of a mirror list, as Debian's cloud images
// have it.
func resolveMirror(uri string) string {
	list, ok := strings.CutPrefix(uri, "mirror+file:")
	if !ok {
		return uri
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			return fields[0]
		}
	}
	return ""
}
