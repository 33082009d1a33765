package archboot

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/prologin/rig/internal/intree"
	"github.com/prologin/rig/internal/nearest"
)

// writeSettings writes the files that do not depend on what is installed.
func writeSettings(t *intree.Tree, c Config) error {
	return errors.Join(
		writeHostname(t, c.Hostname),
		writeMachineID(t, c.MachineID),
		writeKeymap(t, c.Keymap),
		linkTimeZone(t, c.TimeZone),
		writeConf(t, networkFile, networkConf(c.Network)),
		writeConf(t, "/etc/systemd/timesyncd.conf.d/50-servers.conf", ntpConf(c.NTP)),
		writeResolver(t, c.Resolver),
		writeAuthorizedKeys(t, c.AuthorizedKeys),
	)
}

// writeConf writes a configuration file and the directories it needs. No content,
// no file.
func writeConf(t *intree.Tree, name, content string) error {
	if content == "" {
		return nil
	}
	if err := t.MkdirAll(name[:strings.LastIndexByte(name, '/')], 0o755); err != nil {
		return err
	}
	return t.WriteFile(name, []byte(content), 0o644)
}

func writeHostname(t *intree.Tree, name string) error {
	if name == "" {
		return nil
	}
	return writeConf(t, "/etc/hostname", name+"\n")
}

func writeMachineID(t *intree.Tree, id MachineID) error {
	content := string(id) + "\n"
	switch id {
	case MachineIDAtBoot:
		content = ""
	case MachineIDRandom:
		content = newMachineID() + "\n"
	}
	// D-Bus looks here where the file is not a link to the other.
	if err := t.Remove("/var/lib/dbus/machine-id"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.WriteFile("/etc/machine-id", []byte(content), 0o444)
}

// newMachineID returns a random id, in the form of a version 4 UUID as
// machine-id(5) wants it.
func newMachineID() string {
	var id [16]byte
	rand.Read(id[:])
	return formatMachineID(id)
}

func formatMachineID(id [16]byte) string {
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}

func writeKeymap(t *intree.Tree, keymap string) error {
	if keymap == "" {
		return nil
	}
	return writeConf(t, "/etc/vconsole.conf", "KEYMAP="+keymap+"\n")
}

const zoneDir = "/usr/share/zoneinfo"

func linkTimeZone(t *intree.Tree, zone string) error {
	info, err := t.Stat(zoneDir + "/" + zone)
	if err != nil || !info.Mode().IsRegular() {
		if zone == "UTC" {
			return ignoreMissing(t.Remove("/etc/localtime")) // without it the zone is UTC
		}
		return missing("time zone", zone, nearZones(t, zone))
	}
	if err := t.Remove("/etc/localtime"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.Symlink(".."+zoneDir+"/"+zone, "/etc/localtime")
}

// networkFile sorts before systemd's own 80-container-host0.network, which would
// shadow it otherwise.
const networkFile = "/etc/systemd/network/50-wired.network"

func networkConf(n Network) string {
	if n.None {
		return ""
	}
	match := n.Match
	if match == nil {
		match = []string{"eth*", "en*", "host*"}
	}
	lines := []string{"[Match]", "Name=" + strings.Join(match, " "), "", "[Network]", "LLDP=yes", "EmitLLDP=yes"}
	if len(n.Addresses) == 0 {
		lines = append(lines, "DHCP=yes")
	}
	lines = append(lines, staticAddresses(n.Addresses)...)
	if n.Gateway.IsValid() {
		lines = append(lines, "Gateway="+n.Gateway.String())
	}
	return strings.Join(lines, "\n") + "\n"
}

func ntpConf(servers []string) string {
	if len(servers) == 0 {
		return ""
	}
	return "[Time]\nNTP=" + strings.Join(servers, " ") + "\n"
}

// writeResolver replaces /etc/resolv.conf, which may be a symlink to a stub of
// systemd-resolved that nobody serves.
func writeResolver(t *intree.Tree, r Resolver) error {
	var b strings.Builder
	for _, s := range r.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(r.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.Search, " "))
	}
	return writeConf(t, "/etc/resolv.conf", b.String())
}

func writeAuthorizedKeys(t *intree.Tree, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	// sshd ignores the file where others may write to the directory.
	if err := t.MkdirAll("/root/.ssh", 0o700); err != nil {
		return err
	}
	return t.WriteFile("/root/.ssh/authorized_keys", []byte(strings.Join(keys, "\n")+"\n"), 0o600)
}

func writeFiles(t *intree.Tree, files []File) error {
	var errs []error
	for _, f := range files {
		mode := f.Mode
		if mode == 0 {
			mode = 0o644
		}
		err := t.MkdirAll(f.Path[:strings.LastIndexByte(f.Path, '/')], 0o755)
		if err == nil {
			err = t.WriteFile(f.Path, f.Data, mode)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// nearZones looks through the list of zones for names like the one asked for.
func nearZones(t *intree.Tree, zone string) []string {
	for _, file := range []string{"tzdata.zi", "zone1970.tab", "zone.tab"} {
		data, err := t.ReadFile(zoneDir + "/" + file)
		if err != nil {
			continue
		}
		var names []string
		for line := range strings.Lines(string(data)) {
			for _, word := range strings.Fields(line) {
				if strings.Contains(word, "/") && zonePattern.MatchString(word) {
					names = append(names, word)
				}
			}
		}
		return nearest.Names(zone, names)
	}
	return nil
}
