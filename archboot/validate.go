package archboot

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Validate reports every fault of the Config at once, as [ErrInvalid], without
// looking at the host. Bootstrap calls it before it touches anything.
func (c Config) Validate() error {
	var v faults
	v.repositories("Repositories", c.Repositories)
	v.repositories("MachineRepositories", c.MachineRepositories)
	v.match("Architecture", c.Architecture, wordPattern)
	for _, p := range c.Packages {
		v.must(packagePattern.MatchString(p) && !strings.Contains(p, ".."), "package name %q", p)
	}
	v.must(c.Packages == nil || len(c.Packages) > 0, "Packages is empty but not nil: nothing to install")
	for i, key := range c.Keys {
		_, err := readKeys(key)
		v.must(err == nil, "Keys[%d]: %v", i, err)
	}
	v.source(c.Source, c.Keys)
	v.must(isLine(c.CacheDir), "CacheDir %q is not one line", c.CacheDir)
	v.hostname(c.Hostname)
	v.machineID(c.MachineID)
	v.match("Locale", c.Locale, localePattern)
	v.match("Keymap", c.Keymap, wordPattern)
	v.must(c.TimeZone == "" || zonePattern.MatchString(c.TimeZone), "time zone %q", c.TimeZone)
	v.must(c.Password == nil || c.PasswordHash == "", "both Password and PasswordHash are set")
	v.must(c.PasswordHash == "" || hashPattern.MatchString(c.PasswordHash), "PasswordHash is no crypt(5) hash")
	for i, k := range c.AuthorizedKeys {
		v.must(isLine(k) && len(strings.Fields(k)) >= 2, "AuthorizedKeys[%d] is not one line of a public key", i)
	}
	v.network(c.Network)
	v.resolver(c.Resolver)
	for _, s := range c.NTP {
		v.must(s != "" && isWord(s), "NTP server %q", s)
	}
	for _, s := range c.Services {
		v.must(unitPattern.MatchString(s), "unit name %q", s)
	}
	for _, f := range c.Files {
		v.file(f)
	}
	return v.err()
}

var (
	wordPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.+-]*$`)
	repoPattern     = regexp.MustCompile(`^[A-Za-z0-9@_+][A-Za-z0-9@_.+-]*$`)
	packagePattern  = regexp.MustCompile(`^([A-Za-z0-9@_+][A-Za-z0-9@_.+-]*/)?[A-Za-z0-9@_+][A-Za-z0-9@_.+-]*$`)
	localePattern   = regexp.MustCompile(`^[A-Za-z]+(_[A-Za-z]+)?(\.[A-Za-z0-9-]+)?(@[a-z]+)?$`)
	zonePattern     = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)
	hashPattern     = regexp.MustCompile(`^\$[a-z0-9]+\$[!-9;-~]+$`)
	unitPattern     = regexp.MustCompile(`^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.(service|socket|timer|path|target|mount|automount|swap|slice)$`)
	labelPattern    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	idPattern       = regexp.MustCompile(`^[0-9a-f]{32}$`)
	sigLevelPattern = regexp.MustCompile(`^(Package|Database)?(Never|Optional|Required|TrustedOnly|TrustAll)$`)
)

// faults collects what is wrong with a value.
type faults struct{ list []error }

func (v *faults) must(ok bool, format string, args ...any) {
	if !ok {
		v.list = append(v.list, fmt.Errorf(format, args...))
	}
}

func (v *faults) err() error {
	if len(v.list) == 0 {
		return nil
	}
	return &Error{Op: "validate", Err: fmt.Errorf("%w: %w", ErrInvalid, errors.Join(v.list...))}
}

// match wants the whole value to have a form, and lets the empty one pass.
func (v *faults) match(what, value string, pattern *regexp.Regexp) {
	v.must(value == "" || pattern.MatchString(value), "%s %q", what, value)
}

func (v *faults) repositories(field string, list []Repository) {
	seen := make(map[string]bool)
	for _, r := range list {
		v.must(repoPattern.MatchString(r.Name) && r.Name != "options" && r.Name != "local", "%s: name %q", field, r.Name)
		v.must(!seen[r.Name], "%s: %q is there twice", field, r.Name)
		seen[r.Name] = true
		v.must(len(r.Servers) > 0, "%s: %q has no servers", field, r.Name)
		for _, s := range r.Servers {
			v.must(isServer(s), "%s: %q: server %q is no http, https, ftp or file URL", field, r.Name, s)
		}
		for _, word := range strings.Fields(r.SigLevel) {
			v.must(sigLevelPattern.MatchString(word), "%s: %q: SigLevel %q", field, r.Name, word)
		}
		v.must(isLine(r.SigLevel), "%s: %q: SigLevel is not one line", field, r.Name)
	}
}

// hostname checks by the rules of hostname(7): labels of at most 63 bytes, 64
// in all.
func (v *faults) hostname(name string) {
	if name == "" {
		return
	}
	v.must(len(name) <= 64, "hostname of %d bytes, at most 64 are allowed", len(name))
	for label := range strings.SplitSeq(name, ".") {
		v.must(len(label) <= 63 && labelPattern.MatchString(label), "hostname %q: label %q", name, label)
	}
}

func (v *faults) machineID(id MachineID) {
	switch id {
	case MachineIDAtBoot, MachineIDRandom, MachineIDFirstBoot:
	default:
		v.must(idPattern.MatchString(string(id)) && strings.Trim(string(id), "0") != "",
			"machine id %q is not 32 lower-case hexadecimal digits", id)
	}
}

func (v *faults) network(n Network) {
	for _, m := range n.Match {
		v.must(m != "" && isWord(m), "Network: interface %q", m)
	}
	for _, a := range n.Addresses {
		v.must(a.IsValid(), "Network: address %q", a)
	}
	v.must(!n.Gateway.IsValid() || len(n.Addresses) > 0, "Network: a gateway needs addresses")
	v.must(!n.None || len(n.Match)+len(n.Addresses) == 0, "Network: None, and yet more")
}

func (v *faults) resolver(r Resolver) {
	for _, s := range r.Servers {
		v.must(s.IsValid(), "Resolver: server %v", s)
	}
	for _, s := range r.Search {
		v.must(s != "" && isWord(s), "Resolver: search domain %q", s)
	}
	v.must(len(r.Search) == 0 || len(r.Servers) > 0, "Resolver: search domains need servers")
}

func (v *faults) file(f File) {
	clean := path.Clean("/" + f.Path)
	v.must(path.IsAbs(f.Path) && clean == f.Path && clean != "/" && !strings.ContainsRune(f.Path, 0),
		"Files: path %q is not absolute and clean", f.Path)
	v.must(f.Mode&^0o777 == 0, "Files: %s: mode %v", f.Path, f.Mode)
}

func isServer(s string) bool {
	u, err := url.Parse(s)
	if err != nil || !isWord(s) {
		return false
	}
	switch u.Scheme {
	case "http", "https", "ftp":
		return u.Host != ""
	case "file":
		return u.Host == "" && path.IsAbs(u.Path) && path.Clean(u.Path) == strings.TrimSuffix(u.Path, "/")
	}
	return false
}

// isLine says that s has no control characters, so that it cannot add a line to
// a file of ours.
func isLine(s string) bool { return !strings.ContainsFunc(s, unicode.IsControl) }

// isWord says that s is a line without blanks.
func isWord(s string) bool { return isLine(s) && !strings.ContainsFunc(s, unicode.IsSpace) }

// ArchiveServer returns the server of a dated archive, laid out as the Arch Linux
// Archive is: BASE/repos/2018/05/01/$repo/os/$arch. Two bootstraps from the same
// date install the same packages.
func ArchiveServer(base string, date time.Time) string {
	return strings.TrimSuffix(base, "/") + "/repos/" + date.Format("2006/01/02") + "/$repo/os/$arch"
}

// staticAddresses lists addresses as .network files want them.
func staticAddresses(list []netip.Prefix) []string {
	var lines []string
	for _, a := range list {
		lines = append(lines, "Address="+a.String())
	}
	return lines
}
