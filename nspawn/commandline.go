package nspawn

import (
	"fmt"
	"strconv"
	"strings"
)

// CommandLine is a program with its arguments and what its environment needs
// beyond the ordinary.
type CommandLine struct {
	Env  []string // NAME=VALUE
	Args []string // the program first
}

// String quotes the command line for a shell, so that it can be pasted.
func (l CommandLine) String() string {
	words := make([]string, 0, len(l.Env)+len(l.Args))
	for _, entry := range l.Env {
		name, value, _ := strings.Cut(entry, "=")
		words = append(words, name+"="+shellQuote(value))
	}
	for _, word := range l.Args {
		words = append(words, shellQuote(word))
	}
	return strings.Join(words, " ")
}

// CommandLine renders the configuration as the systemd-nspawn command that
// starts the same machine by hand, in a terminal and registered with machined
// where there is one. Credentials given by Value appear in it.
func (c *Config) CommandLine() CommandLine {
	var a arguments
	c.identity(&a)
	if c.SuppressSync {
		a.add("--suppress-sync", "yes")
	}
	c.network(&a)
	c.mounts(&a)
	c.security(&a)
	c.properties(&a)
	for _, credential := range c.Credentials {
		if credential.Path != "" {
			a.add("--load-credential", credential.ID+":"+credential.Path)
		} else {
			a.add("--set-credential", credential.ID+":"+escapeC(credential.Value))
		}
	}
	c.payload(&a)
	return CommandLine{Env: c.nspawnEnv(), Args: append([]string{"systemd-nspawn"}, a...)}
}

// nspawnEnv holds the settings that nspawn takes from its environment only.
func (c *Config) nspawnEnv() (env []string) {
	if c.KernelVariables != AccessNone {
		env = append(env, "SYSTEMD_NSPAWN_API_VFS_WRITABLE="+string(c.KernelVariables))
	}
	if c.Network.MAC != nil {
		env = append(env, "SYSTEMD_NSPAWN_NETWORK_MAC="+c.Network.MAC.String())
	}
	return env
}

func (c *Config) identity(a *arguments) {
	a.add("--settings", "no")
	a.add("--machine", c.Name)
	a.add("--directory", c.Root)
	a.optional("--hostname", c.Hostname)
	a.optional("--uuid", c.MachineID)
	a.flag("--read-only", c.ReadOnly)
	a.optional("--volatile", string(c.Volatile))
	a.flag("--ephemeral", c.Ephemeral)
	a.add("--resolv-conf", orDefault(c.ResolvConf, "off"))
	a.add("--timezone", orDefault(c.Timezone, "off"))
	a.add("--link-journal", orDefault(c.LinkJournal, "no"))
	a.optional("--console", string(c.Console))
	a.add("--kill-signal", c.killSignal())
	for _, entry := range c.Environment {
		a.add("--setenv", entry)
	}
}

// killSignal is the request to power off.
func (c *Config) killSignal() string {
	return orDefault(c.KillSignal, "SIGRTMIN+4")
}

func (c *Config) network(a *arguments) {
	n := &c.Network
	switch {
	case n.Host:
	case n.Namespace != "":
		a.add("--network-namespace-path", n.Namespace)
	case n.Bridge != "":
		a.add("--network-bridge", n.Bridge)
	case n.Zone != "":
		a.add("--network-zone", n.Zone)
	case n.Veth:
		*a = append(*a, "--network-veth")
	default:
		*a = append(*a, "--private-network")
	}
	for _, name := range n.Interfaces {
		a.add("--network-interface", name)
	}
	for _, name := range n.MACVLAN {
		a.add("--network-macvlan", name)
	}
	for _, name := range n.IPVLAN {
		a.add("--network-ipvlan", name)
	}
	for _, pair := range n.Extra {
		a.add("--network-veth-extra", joinNonEmpty(":", pair.Host, pair.Machine))
	}
	for _, port := range n.Ports {
		a.add("--port", port.String())
	}
}

// String is the form of nspawn's --port and Port=.
func (p Port) String() string {
	text := fmt.Sprintf("%s:%d", p.protocol(), p.Host)
	if p.Machine != 0 {
		text += ":" + strconv.Itoa(int(p.Machine))
	}
	return text
}

func (c *Config) mounts(a *arguments) {
	for _, bind := range c.Binds {
		if bind.ReadOnly {
			a.add("--bind-ro", bind.String())
		} else {
			a.add("--bind", bind.String())
		}
	}
	for _, device := range c.Devices {
		a.add("--bind", Bind{Source: strings.TrimPrefix(device, "-")}.String())
	}
	for _, tmpfs := range c.Tmpfs {
		a.add("--tmpfs", tmpfs.String())
	}
	for _, overlay := range c.Overlays {
		if overlay.ReadOnly {
			a.add("--overlay-ro", overlay.String())
		} else {
			a.add("--overlay", overlay.String())
		}
	}
	for _, name := range c.Inaccessible {
		a.add("--inaccessible", name)
	}
}

// String is the form of nspawn's --bind and Bind=, without ReadOnly and Optional.
func (b Bind) String() string {
	target := orDefault(b.Target, b.Source)
	text := escapeColon(b.Source)
	text += ":" + escapeColon(target)
	var options []string
	if b.NoRecursive {
		options = append(options, "norbind")
	}
	if b.IDMap {
		options = append(options, "idmap")
	}
	return joinNonEmpty(":", text, strings.Join(options, ","))
}

// String is the form of nspawn's --tmpfs and TemporaryFileSystem=.
func (t Tmpfs) String() string { return joinNonEmpty(":", escapeColon(t.Target), t.Options) }

// String is the form of nspawn's --overlay and Overlay=, without ReadOnly.
func (o Overlay) String() string {
	parts := make([]string, 0, len(o.Layers)+1)
	for _, layer := range o.Layers {
		parts = append(parts, escapeColon(layer))
	}
	return strings.Join(append(parts, escapeColon(o.Target)), ":")
}

func (c *Config) security(a *arguments) {
	a.optional("--capability", strings.Join(c.Capabilities, ","))
	a.optional("--drop-capability", strings.Join(c.DropCapabilities, ","))
	for _, name := range c.SystemCallFilter {
		a.add("--system-call-filter", name)
	}
	switch c.Users.Mode {
	case UsersHost:
		return
	case UsersRange:
		a.add("--private-users", strconv.FormatUint(uint64(c.Users.Base), 10)+":65536")
	default:
		a.add("--private-users", string(c.Users.Mode))
	}
	a.add("--private-users-ownership", c.ownership())
}

func (c *Config) ownership() string {
	if c.Users.Mode == UsersIdentity {
		return orDefault(c.Users.Ownership, "off")
	}
	return orDefault(c.Users.Ownership, "map")
}

// properties are those of the scope that machined makes for a machine started
// by hand; a launcher bounds the cgroup that it makes itself.
func (c *Config) properties(a *arguments) {
	if c.Limits.OpenFiles > 0 {
		a.add("--rlimit", fmt.Sprintf("RLIMIT_NOFILE=%d", c.Limits.OpenFiles))
	}
	if c.Limits.Memory > 0 {
		a.add("--property", fmt.Sprintf("MemoryMax=%d", c.Limits.Memory))
	}
	if c.Limits.CPUs > 0 {
		a.add("--property", fmt.Sprintf("CPUQuota=%d%%", c.Limits.cpuTime(100)))
	}
	if c.Limits.Tasks > 0 {
		a.add("--property", fmt.Sprintf("TasksMax=%d", c.Limits.Tasks))
	}
	for _, device := range c.Devices {
		a.add("--property", "DeviceAllow="+strings.TrimPrefix(device, "-")+" rwm")
	}
}

// payload comes last: everything after it belongs to the machine.
func (c *Config) payload(a *arguments) {
	if len(c.Command) > 0 {
		*a = append(append(*a, "--as-pid2", "--"), c.Command...)
		return
	}
	a.add("--notify-ready", "yes")
	*a = append(append(*a, "--boot"), c.initArguments()...)
}

// initArguments are the kernel command line. An init prefers the root's
// /etc/hostname to the name that nspawn gave it, but not to this.
func (c *Config) initArguments() (words []string) {
	if c.Hostname != "" {
		words = append(words, "systemd.hostname="+c.Hostname)
	}
	return append(words, c.KernelCommandLine...)
}

// arguments is a command line under construction.
type arguments []string

func (a *arguments) add(option, value string) { *a = append(*a, option+"="+value) }

func (a *arguments) optional(option, value string) {
	if value != "" {
		a.add(option, value)
	}
}

func (a *arguments) flag(option string, set bool) {
	if set {
		*a = append(*a, option)
	}
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// joinNonEmpty joins two parts, or is the first where the second is empty.
func joinNonEmpty(separator, first, second string) string {
	if second == "" {
		return first
	}
	return first + separator + second
}
