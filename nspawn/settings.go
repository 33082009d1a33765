package nspawn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Settings renders the configuration as a systemd.nspawn(5) file, with which
// machinectl start boots the same machine from /var/lib/machines. The error
// joins a *Fault, which also matches ErrNotSupported, for each field that such a
// file cannot express; the file is the rest then. Name and Root are not part of
// it: the file is named after the machine.
func (c *Config) Settings() ([]byte, error) {
	var w settingsWriter
	c.writeExec(&w)
	c.writeFiles(&w)
	c.writeNetwork(&w)
	c.listOmitted(&w)
	return []byte(strings.TrimPrefix(w.text.String(), "\n")), errors.Join(w.faults...)
}

func (c *Config) writeExec(w *settingsWriter) {
	w.section("Exec")
	w.set("Boot", yesNo(len(c.Command) == 0))
	w.set("ProcessTwo", yesNo(len(c.Command) > 0))
	if len(c.Command) > 0 {
		w.words("Parameters", "Command", c.Command)
	} else {
		w.words("Parameters", "KernelCommandLine", c.initArguments())
		w.set("NotifyReady", "yes")
	}
	for i, entry := range c.Environment {
		w.words("Environment", index("Environment", i), []string{entry})
	}
	w.optional("Hostname", c.Hostname)
	w.optional("MachineID", c.MachineID)
	w.set("PrivateUsers", c.Users.setting())
	w.optional("Capability", strings.Join(c.Capabilities, " "))
	w.optional("DropCapability", strings.Join(c.DropCapabilities, " "))
	for _, name := range c.SystemCallFilter {
		w.set("SystemCallFilter", name)
	}
	w.set("KillSignal", c.killSignal())
	w.set("ResolvConf", orDefault(c.ResolvConf, "off"))
	w.set("Timezone", orDefault(c.Timezone, "off"))
	w.set("LinkJournal", orDefault(c.LinkJournal, "no"))
	if c.Limits.OpenFiles > 0 {
		w.set("LimitNOFILE", strconv.FormatUint(c.Limits.OpenFiles, 10))
	}
	if c.Ephemeral {
		w.set("Ephemeral", "yes")
	}
	if c.SuppressSync {
		w.set("SuppressSync", "yes")
	}
}

// setting is the form of PrivateUsers=.
func (u Users) setting() string {
	switch u.Mode {
	case UsersHost:
		return "no"
	case UsersRange:
		return fmt.Sprintf("%d:65536", u.Base)
	}
	return string(u.Mode)
}

func (c *Config) writeFiles(w *settingsWriter) {
	w.section("Files")
	w.set("ReadOnly", yesNo(c.ReadOnly))
	w.set("Volatile", orDefault(string(c.Volatile), "no"))
	if c.Users.Mode != UsersHost {
		w.set("PrivateUsersOwnership", c.ownership())
	}
	for i, bind := range c.Binds {
		if bind.Optional {
			w.omit(index("Binds", i)+".Optional", "is for a Host to decide")
		}
		if bind.ReadOnly {
			w.set("BindReadOnly", bind.String())
		} else {
			w.set("Bind", bind.String())
		}
	}
	for _, tmpfs := range c.Tmpfs {
		w.set("TemporaryFileSystem", tmpfs.String())
	}
	for _, overlay := range c.Overlays {
		if overlay.ReadOnly {
			w.set("OverlayReadOnly", overlay.String())
		} else {
			w.set("Overlay", overlay.String())
		}
	}
	for _, name := range c.Inaccessible {
		w.set("Inaccessible", name)
	}
}

func (c *Config) writeNetwork(w *settingsWriter) {
	n := &c.Network
	w.section("Network")
	w.set("Private", yesNo(!n.Host && n.Namespace == ""))
	w.set("VirtualEthernet", yesNo(n.hasHost0()))
	w.optional("Bridge", n.Bridge)
	w.optional("Zone", n.Zone)
	w.optional("NamespacePath", n.Namespace) // systemd ≥ 259
	for _, name := range n.Interfaces {
		w.set("Interface", name)
	}
	for _, name := range n.MACVLAN {
		w.set("MACVLAN", name)
	}
	for _, name := range n.IPVLAN {
		w.set("IPVLAN", name)
	}
	for _, pair := range n.Extra {
		w.set("VirtualEthernetExtra", joinNonEmpty(":", pair.Host, pair.Machine))
	}
	for _, port := range n.Ports {
		w.set("Port", port.String())
	}
}

// listOmitted names what only a command line, an environment or a unit can say.
func (c *Config) listOmitted(w *settingsWriter) {
	for _, setting := range []struct {
		field string
		given bool
	}{
		{"Console", c.Console != ""}, {"Credentials", len(c.Credentials) > 0}, {"Network.MAC", c.Network.MAC != nil},
		{"KernelVariables", c.KernelVariables != AccessNone}, {"Devices", len(c.Devices) > 0},
		{"Limits.Memory", c.Limits.Memory > 0}, {"Limits.CPUs", c.Limits.CPUs > 0}, {"Limits.Tasks", c.Limits.Tasks > 0},
		{"Stop", c.Stop != StopTimeouts{}}, {"Reboot", c.Reboot != RebootAllow},
	} {
		if setting.given {
			w.omit(setting.field, "has no setting in a .nspawn file")
		}
	}
}

// settingsWriter writes sections and settings, one line each.
type settingsWriter struct {
	text   strings.Builder
	faults []error
}

func (w *settingsWriter) section(name string) { fmt.Fprintf(&w.text, "\n[%s]\n", name) }

// set writes a setting. A value that Validate would refuse cannot become a line
// of its own: it is left out.
func (w *settingsWriter) set(key, value string) {
	if hasControl(value) || strings.HasSuffix(value, `\`) || value != strings.TrimSpace(value) {
		w.omit(key, fmt.Sprintf("%q cannot be written", value))
		return
	}
	fmt.Fprintf(&w.text, "%s=%s\n", key, value)
}

func (w *settingsWriter) optional(key, value string) {
	if value != "" {
		w.set(key, value)
	}
}

// words writes a list of words, quoted where needed. A file has no escapes within
// quotes: a word with both kinds of them cannot be written.
func (w *settingsWriter) words(key, field string, words []string) {
	quoted := make([]string, len(words))
	for i, word := range words {
		quote := `"`
		if strings.Contains(word, quote) {
			quote = `'`
		}
		switch {
		case strings.Contains(word, quote):
			w.omit(field, fmt.Sprintf("%q holds both kinds of quotes", word))
			return
		case word == "" || strings.ContainsAny(word, " \t\"'") || strings.HasSuffix(word, `\`):
			quoted[i] = quote + word + quote
		default:
			quoted[i] = word
		}
	}
	w.optional(key, strings.Join(quoted, " "))
}

func (w *settingsWriter) omit(field, problem string) {
	w.faults = append(w.faults, fmt.Errorf("%w: %w", ErrNotSupported, &Fault{Field: field, Problem: problem}))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
