package debian

import (
	"bufio"
	"io"
	"strings"
)

// deb is one installed Debian package, as dpkg's status file has it.
type deb struct {
	name, version, summary, homepage string
	depends                          []string // each "a | b", without versions
	provides                         []string
}

// parseStatus reads /var/lib/dpkg/status. Packages that are not installed are
// left out.
func parseStatus(r io.Reader) (map[string]deb, error) {
	debs := map[string]deb{}
	var d deb
	installed := false
	flush := func() {
		if d.name != "" && installed {
			debs[d.name] = d
		}
		d, installed = deb{}, false
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			flush()
			continue
		}
		key, value, ok := strings.Cut(line, ": ")
		if !ok || line[0] == ' ' {
			continue
		}
		switch key {
		case "Package":
			d.name = value
		case "Status":
			installed = strings.HasSuffix(value, " installed")
		case "Version":
			d.version = value
		case "Description":
			d.summary = value
		case "Homepage":
			d.homepage = value
		case "Depends", "Pre-Depends":
			d.depends = append(d.depends, relations(value)...)
		case "Provides":
			d.provides = append(d.provides, relations(value)...)
		}
	}
	flush()
	return debs, lines.Err()
}

// relations splits a dependency field at its commas and drops versions and
// architectures: "a (>= 1) | b:any, c" becomes "a | b" and "c".
func relations(field string) []string {
	var list []string
	for relation := range strings.SplitSeq(field, ",") {
		var names []string
		for name := range strings.SplitSeq(relation, "|") {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			name, _, _ = strings.Cut(name, ":")
			if name != "" {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			list = append(list, strings.Join(names, " | "))
		}
	}
	return list
}

// archVersion turns a Debian version into [epoch:]version-release, where the
// version may hold neither a hyphen nor a colon.
func archVersion(v string) string {
	epoch, rest, ok := strings.Cut(v, ":")
	if !ok {
		epoch, rest = "", v
	}
	upstream, revision := rest, "1"
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		upstream, revision = rest[:i], rest[i+1:]
	}
	upstream = strings.NewReplacer("-", "_", ":", "_").Replace(upstream)
	if epoch != "" && epoch != "0" {
		upstream = epoch + ":" + upstream
	}
	return upstream + "-" + revision
}
