package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
)

// sysctl is a setting of a link of ours. It is not put back: it goes with the
// link.
type sysctl struct {
	Key   string `json:"key"` // as a path below /proc/sys
	Value string `json:"value"`
}

// String returns "sysctl KEY = VALUE".
func (s sysctl) String() string { return fmt.Sprintf("sysctl %s = %s", s.Key, s.Value) }

func (s sysctl) lines(unmake bool) []string {
	if unmake {
		return nil
	}
	return []string{fmt.Sprintf("echo %s > %s", s.Value, sysctlPath(s.Key))}
}

func (s sysctl) present(*view) (bool, error) {
	have, err := readSysctl(s.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return have == s.Value, err
}

func (s sysctl) create(*kernel) error  { return writeSysctl(s.Key, s.Value) }
func (s sysctl) destroy(*kernel) error { return nil }

// forwarding is the host passing packets on from one interface to another.
// Switching it on changes other settings as well; Was holds those that were
// found before, so that they can all be put back. It is one for all networks of
// a host: the last that needs it puts it back.
type forwarding struct {
	Family family            `json:"family"`
	Was    map[string]string `json:"was"` // by key
}

// String returns "IPv4 forwarding".
func (f forwarding) String() string { return f.Family.String() + " forwarding" }

// key is the switch for all interfaces.
func (f forwarding) key() string {
	if f.Family == ipv6 {
		return "net/ipv6/conf/all/forwarding"
	}
	return "net/ipv4/ip_forward"
}

func (f forwarding) lines(unmake bool) []string {
	if !unmake {
		var lines []string
		for _, key := range f.routersHeard() {
			lines = append(lines, "echo 2 > "+sysctlPath(key))
		}
		return append(lines, "echo 1 > "+sysctlPath(f.key()))
	}
	lines := []string{"echo 0 > " + sysctlPath(f.key())}
	for _, key := range slices.Sorted(maps.Keys(f.Was)) {
		if key != f.key() && f.Was[key] != f.after(key) {
			lines = append(lines, fmt.Sprintf("echo %s > %s", f.Was[key], sysctlPath(key)))
		}
	}
	return lines
}

// routersHeard returns the settings of the interfaces that get their routes from
// IPv6 routers' advertisements. A host that forwards no longer listens to them,
// and forgets the routes, unless told so with a 2.
func (f forwarding) routersHeard() []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(f.Was)) {
		if path.Base(key) == "accept_ra" && f.Was[key] == "1" {
			keys = append(keys, key)
		}
	}
	return keys
}

// after is what a setting becomes when the switch is turned off: see
// inet_forward_change in linux/net/ipv4/devinet.c.
func (f forwarding) after(key string) string {
	if key == "net/ipv4/conf/all/accept_redirects" {
		return "1"
	}
	if path.Base(key) == "accept_ra" {
		return "2"
	}
	return "0"
}

func (f forwarding) present(*view) (bool, error) {
	have, err := readSysctl(f.key())
	return have != "0", err
}

// remember notes the settings that switching it on will change.
func (f forwarding) remember() (Object, error) {
	dir := "net/ipv4/conf"
	keys := []string{f.key()}
	if f.Family == ipv4 {
		keys = append(keys, "net/ipv4/conf/all/accept_redirects")
	} else {
		dir = "net/ipv6/conf"
	}
	links, err := os.ReadDir(sysctlPath(dir))
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Name() != "all" {
			keys = append(keys, dir+"/"+l.Name()+"/forwarding")
		}
		if f.Family == ipv6 {
			keys = append(keys, dir+"/"+l.Name()+"/accept_ra")
		}
	}
	f.Was = make(map[string]string, len(keys))
	for _, key := range keys {
		value, err := readSysctl(key)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the interface went away
		}
		if err != nil {
			return nil, err
		}
		f.Was[key] = value
	}
	return f, nil
}

func (f forwarding) create(*kernel) error {
	for _, key := range f.routersHeard() {
		if err := writeSysctl(key, "2"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return writeSysctl(f.key(), "1")
}

// destroy leaves the switch alone if somebody else has turned it off, or if
// another network still needs it.
func (f forwarding) destroy(k *kernel) error {
	if k.shared[f.String()] {
		return nil
	}
	have, err := readSysctl(f.key())
	if err != nil {
		return err
	}
	if have == "0" && len(f.routersHeard()) == 0 {
		return nil
	}
	if err := writeSysctl(f.key(), "0"); err != nil {
		return err
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(f.Was)) {
		have, err := readSysctl(key)
		if err == nil && have != f.Was[key] {
			err = writeSysctl(key, f.Was[key])
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
