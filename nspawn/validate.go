package nspawn

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Validate reports everything that is wrong with the configuration, whatever
// the host: the result joins one *Fault for each problem, and is nil when there
// is none. It looks at no file; Host.Check does.
func (c *Config) Validate() error {
	var f faults
	if problem := machineNameProblem(c.Name); problem != "" {
		f.add("Name", "%s", problem)
	}
	f.absolute("Root", c.Root)
	if path.Clean(c.Root) == "/" {
		f.add("Root", "the host's own root cannot be a machine's")
	}
	if c.Hostname != "" && machineNameProblem(c.Hostname) != "" {
		f.add("Hostname", "%s", machineNameProblem(c.Hostname))
	}
	if c.MachineID != "" && !isMachineID(c.MachineID) {
		f.add("MachineID", "%q is not 32 lower-case hexadecimal digits, or all zero", c.MachineID)
	}
	c.validatePayload(&f)
	c.validateMounts(&f)
	c.validateSecurity(&f)
	c.validateModes(&f)
	c.Network.validate(&f)
	return errors.Join(f...)
}

// validatePayload checks what the first process is given.
func (c *Config) validatePayload(f *faults) {
	for i, word := range c.Command {
		f.text(index("Command", i), word)
	}
	if len(c.Command) > 0 && c.Command[0] == "" {
		f.add("Command[0]", "the program's name is empty")
	}
	if len(c.Command) > 0 && len(c.KernelCommandLine) > 0 {
		f.add("KernelCommandLine", "only an init reads it, and Command takes its place")
	}
	for i, word := range c.KernelCommandLine {
		field := index("KernelCommandLine", i)
		f.text(field, word)
		if word == "" || strings.ContainsAny(word, " \t\"'\\") {
			f.add(field, "%q is not one word without quotes", word)
		}
		if strings.HasPrefix(word, "-") {
			f.add(field, "%q would be read as an option of init", word)
		}
	}
	for i, entry := range c.Environment {
		field := index("Environment", i)
		f.text(field, entry)
		if name, _, found := strings.Cut(entry, "="); !found || !isEnvironmentName(name) {
			f.add(field, "%q is not NAME=VALUE", entry)
		}
	}
	c.validateCredentials(f)
}

func (c *Config) validateCredentials(f *faults) {
	seen := map[string]bool{}
	for i, credential := range c.Credentials {
		field := index("Credentials", i)
		id := credential.ID
		if id == "" || id == "." || id == ".." || len(id) > 255 || strings.ContainsAny(id, "/:") || hasControl(id) {
			f.add(field+".ID", "%q cannot name a credential", id)
		}
		if seen[id] {
			f.add(field+".ID", "%q is given twice", id)
		}
		seen[id] = true
		if (credential.Value == "") == (credential.Path == "") {
			f.add(field, "exactly one of Value and Path is needed")
		}
		if strings.ContainsRune(credential.Value, 0) {
			f.add(field+".Value", "holds a zero byte; use Path")
		}
		if credential.Path != "" {
			f.absolute(field+".Path", credential.Path)
		}
	}
}

// validateMounts checks everything that is mounted over the root.
func (c *Config) validateMounts(f *faults) {
	for i, bind := range c.Binds {
		field := index("Binds", i)
		if bind.Source == "" && bind.Target == "" {
			f.add(field, "neither Source nor Target is given")
		}
		if bind.Source != "" {
			f.absolute(field+".Source", bind.Source)
		} else if bind.Optional {
			f.add(field+".Optional", "a temporary directory is never missing")
		}
		if bind.Target != "" {
			f.target(field+".Target", bind.Target)
		}
	}
	for i, tmpfs := range c.Tmpfs {
		f.target(index("Tmpfs", i)+".Target", tmpfs.Target)
		f.text(index("Tmpfs", i)+".Options", tmpfs.Options)
	}
	for i, overlay := range c.Overlays {
		overlay.validate(f, index("Overlays", i))
	}
	for i, name := range c.Inaccessible {
		f.target(index("Inaccessible", i), name)
	}
	for i, device := range c.Devices {
		device = strings.TrimPrefix(device, "-")
		f.absolute(index("Devices", i), device)
		if !strings.HasPrefix(path.Clean(device), "/dev/") {
			f.add(index("Devices", i), "%q is not below /dev", device)
		}
	}
}

func (o *Overlay) validate(f *faults, field string) {
	if len(o.Layers) < 2 {
		f.add(field+".Layers", "%d given, an overlay has at least 2", len(o.Layers))
	}
	for i, layer := range o.Layers {
		if layer == "" && i == len(o.Layers)-1 && !o.ReadOnly {
			continue // nspawn makes a temporary one
		}
		f.absolute(index(field+".Layers", i), layer)
	}
	f.target(field+".Target", o.Target)
}

// validateSecurity checks capabilities, system calls, users and limits.
func (c *Config) validateSecurity(f *faults) {
	for i, name := range c.Capabilities {
		f.capability(index("Capabilities", i), name)
	}
	for i, name := range c.DropCapabilities {
		f.capability(index("DropCapabilities", i), name)
	}
	for i, name := range c.SystemCallFilter {
		if !isSystemCall(strings.TrimPrefix(name, "~")) {
			f.add(index("SystemCallFilter", i), "%q is no system call or @group", name)
		}
	}
	f.oneOf("KernelVariables", string(c.KernelVariables), "", "network", "yes")
	f.oneOf("Users.Mode", string(c.Users.Mode), "", "pick", "identity", "range")
	f.oneOf("Users.Ownership", c.Users.Ownership, "", "auto", "off", "map")
	if c.Users.Base != 0 && c.Users.Mode != UsersRange {
		f.add("Users.Base", "is only used with mode %q", UsersRange)
	}
	if c.Users.Mode == UsersRange && c.Users.Base&0xffff != 0 {
		f.add("Users.Base", "%d is not a multiple of 65536", c.Users.Base)
	}
	if c.Users.Mode == UsersRange && c.Users.Base == 0 {
		f.add("Users.Base", "is needed with mode %q", UsersRange)
	}
	if c.Users.Mode == UsersHost && c.Users.Ownership != "" {
		f.add("Users.Ownership", "there is no user namespace to own for")
	}
	if c.Users.Mode != UsersHost && c.Network.Namespace != "" {
		f.add("Users.Mode", "a user namespace cannot live in a foreign network namespace (systemd issue 36363)")
	}
	if c.Users.Mode != UsersHost && c.KernelVariables == AccessAll {
		f.add("KernelVariables", "mode %q cannot be had with a user namespace", AccessAll)
	}
	if cpus := c.Limits.CPUs; cpus != 0 && !(cpus >= 0.01 && cpus <= 4096) { // nor is it NaN
		f.add("Limits.CPUs", "%v is not between 0.01 and 4096", c.Limits.CPUs)
	}
	if c.Limits.Memory > 0 && c.Limits.Memory < 1<<20 {
		f.add("Limits.Memory", "%d bytes cannot hold any system", c.Limits.Memory)
	}
}

// validateModes checks the settings that are one of a few words.
func (c *Config) validateModes(f *faults) {
	f.oneOf("Volatile", string(c.Volatile), "", "yes", "state", "overlay")
	f.oneOf("ResolvConf", c.ResolvConf, "", "off", "auto", "copy-host", "copy-static", "copy-uplink", "copy-stub",
		"replace-host", "replace-static", "replace-uplink", "replace-stub", "bind-host", "bind-static",
		"bind-uplink", "bind-stub", "delete")
	f.oneOf("Timezone", c.Timezone, "", "off", "auto", "copy", "bind", "symlink", "delete")
	f.oneOf("LinkJournal", c.LinkJournal, "", "no", "auto", "guest", "host", "try-guest", "try-host")
	f.oneOf("Console", string(c.Console), "", "pipe", "read-only", "passive", "interactive")
	f.oneOf("Reboot", string(c.Reboot), string(RebootAllow), string(RebootStop))
	if c.KillSignal != "" {
		if _, err := parseSignal(c.KillSignal); err != nil {
			f.add("KillSignal", "%v", err)
		}
	}
	if c.Stop.Poweroff < 0 || c.Stop.Terminate < 0 {
		f.add("Stop", "a deadline is negative")
	}
	if c.Ephemeral && c.ReadOnly {
		f.add("Ephemeral", "a read-only root has no changes to throw away")
	}
	if c.Volatile == VolatileYes && c.ReadOnly {
		f.add("Volatile", "mode yes makes its own root, which ReadOnly would freeze empty")
	}
}

// faults collects what is wrong.
type faults []error

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, &Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// unsupported adds what this host cannot do, though another could.
func (f *faults) unsupported(field, format string, args ...any) {
	*f = append(*f, fmt.Errorf("%w: %w", ErrNotSupported, &Fault{Field: field, Problem: fmt.Sprintf(format, args...)}))
}

func (f *faults) oneOf(field, value string, allowed ...string) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	f.add(field, "%q is none of %q", value, allowed)
}

// text refuses what could end a line of a settings file or an argument.
func (f *faults) text(field, value string) {
	if hasControl(value) {
		f.add(field, "%q holds a control character", value)
	}
}

// absolute wants a path that means the same to nspawn as to the caller.
func (f *faults) absolute(field, name string) {
	f.text(field, name)
	switch {
	case name == "":
		f.add(field, "no path is given")
	case !path.IsAbs(name):
		f.add(field, "%q is not absolute", name)
	case len(name) > 4095:
		f.add(field, "the path is longer than 4095 bytes")
	case slices.Contains(strings.Split(name, "/"), ".."):
		f.add(field, "%q steps upwards", name)
	}
}

// target wants a place inside the machine that is not the machine itself.
func (f *faults) target(field, name string) {
	f.absolute(field, name)
	if path.IsAbs(name) && path.Clean(name) == "/" {
		f.add(field, "%q would hide the whole root", name)
	}
}

func (f *faults) capability(field, name string) {
	if name == "all" {
		return
	}
	rest, found := strings.CutPrefix(name, "CAP_")
	if !found || rest == "" || strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		f.add(field, "%q is not written as CAP_NAME", name)
	}
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
