package nspawn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ParseSettings reads a systemd.nspawn(5) file into a configuration without Name
// and Root. The error joins a *Fault for every line that is no setting, or one
// that a Config has no field for; what could be read is returned all the same.
// What Settings writes is read back as it was.
func ParseSettings(data []byte) (Config, error) {
	p := settingsReader{}
	section := ""
	text := strings.ReplaceAll(string(data), "\\\n", " ") // lines that go on
	number := 0
	for line := range strings.Lines(text) {
		number++
		p.where = fmt.Sprintf("line %d", number)
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && line[len(line)-1] == ']':
			section = line[1 : len(line)-1]
		default:
			key, value, found := strings.Cut(line, "=")
			if !found {
				p.fault("%q is no assignment", line)
				continue
			}
			p.setting(section, strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
	p.finish()
	return p.config, errors.Join(p.faults...)
}

// settingsReader is a configuration under construction.
type settingsReader struct {
	config     Config
	parameters []string
	boot       bool
	veth       bool
	private    bool
	where      string
	faults     faults
}

func (p *settingsReader) fault(format string, args ...any) { p.faults.add(p.where, format, args...) }

func (p *settingsReader) setting(section, key, value string) {
	if hasControl(value) {
		p.fault("%q holds a control character", value)
		return
	}
	read, known := map[string]func(key, value string) bool{
		"Exec": p.exec, "Files": p.files, "Network": p.network,
	}[section]
	if !known || !read(key, value) {
		p.fault("%s= in [%s] is not known here", key, section)
	}
}

func (p *settingsReader) exec(key, value string) bool {
	c := &p.config
	switch key {
	case "Boot":
		p.boot = p.boolean(value)
	case "ProcessTwo", "NotifyReady": // follow from the payload
		p.boolean(value)
	case "Parameters":
		p.parameters = append(p.parameters, p.words(value)...)
	case "Environment":
		c.Environment = append(c.Environment, p.words(value)...)
	case "Hostname", "MachineID", "KillSignal":
		*map[string]*string{"Hostname": &c.Hostname, "MachineID": &c.MachineID, "KillSignal": &c.KillSignal}[key] = value
	case "PrivateUsers":
		p.users(value)
	case "Capability":
		c.Capabilities = append(c.Capabilities, strings.Fields(value)...)
	case "DropCapability":
		c.DropCapabilities = append(c.DropCapabilities, strings.Fields(value)...)
	case "SystemCallFilter":
		p.filter(value)
	case "ResolvConf":
		c.ResolvConf = unlessDefault(value, "off")
	case "Timezone":
		c.Timezone = unlessDefault(value, "off")
	case "LinkJournal":
		c.LinkJournal = unlessDefault(value, "no")
	case "LimitNOFILE":
		c.Limits.OpenFiles = p.number(value)
	case "Ephemeral":
		c.Ephemeral = p.boolean(value)
	case "SuppressSync":
		c.SuppressSync = p.boolean(value)
	default:
		return false
	}
	return true
}

// filter reads names, all denied by a leading '~'.
func (p *settingsReader) filter(value string) {
	deny := ""
	if rest, found := strings.CutPrefix(value, "~"); found {
		deny, value = "~", rest
	}
	for _, name := range strings.Fields(value) {
		p.config.SystemCallFilter = append(p.config.SystemCallFilter, deny+name)
	}
}

func (p *settingsReader) users(value string) {
	u := &p.config.Users
	base, count, ranged := strings.Cut(value, ":")
	switch number, err := strconv.ParseUint(base, 10, 32); {
	case value == "pick" || value == "identity":
		u.Mode = UsersMode(value)
	case err == nil && number > 1 && (!ranged || count == "65536"):
		u.Mode, u.Base = UsersRange, uint32(number)
	case p.boolean(value):
		u.Mode = UsersPick
	default:
		u.Mode = UsersHost
	}
}

func (p *settingsReader) files(key, value string) bool {
	c := &p.config
	switch key {
	case "ReadOnly":
		c.ReadOnly = p.boolean(value)
	case "Volatile":
		c.Volatile = Volatile(unlessDefault(value, "no"))
	case "PrivateUsersOwnership":
		c.Users.Ownership = value
	case "Bind", "BindReadOnly":
		p.bind(value, key == "BindReadOnly")
	case "TemporaryFileSystem":
		parts := splitColons(value, 2)
		c.Tmpfs = append(c.Tmpfs, Tmpfs{Target: parts[0], Options: strings.Join(parts[1:], "")})
	case "Overlay", "OverlayReadOnly":
		parts := splitColons(value, -1)
		last := len(parts) - 1
		c.Overlays = append(c.Overlays, Overlay{Layers: parts[:last], Target: parts[last], ReadOnly: key == "OverlayReadOnly"})
	case "Inaccessible":
		c.Inaccessible = append(c.Inaccessible, value)
	default:
		return false
	}
	return true
}

func (p *settingsReader) bind(value string, readOnly bool) {
	parts := splitColons(value, 3)
	b := Bind{ReadOnly: readOnly}
	b.Source = parts[0]
	if len(parts) > 1 && parts[1] != b.Source {
		b.Target = parts[1]
	}
	if len(parts) > 2 && parts[2] != "" {
		for _, option := range strings.Split(parts[2], ",") {
			switch option {
			case "norbind":
				b.NoRecursive = true
			case "idmap":
				b.IDMap = true
			case "rbind":
			default:
				p.fault("option %q of a bind is not known here", option)
			}
		}
	}
	p.config.Binds = append(p.config.Binds, b)
}

func (p *settingsReader) network(key, value string) bool {
	n := &p.config.Network
	switch key {
	case "Private":
		p.private = p.boolean(value)
	case "VirtualEthernet":
		p.veth = p.boolean(value)
	case "Bridge":
		n.Bridge = value
	case "Zone":
		n.Zone = value
	case "NamespacePath":
		n.Namespace = value
	case "Interface":
		n.Interfaces = append(n.Interfaces, strings.Fields(value)...)
	case "MACVLAN":
		n.MACVLAN = append(n.MACVLAN, strings.Fields(value)...)
	case "IPVLAN":
		n.IPVLAN = append(n.IPVLAN, strings.Fields(value)...)
	case "VirtualEthernetExtra":
		host, machine, _ := strings.Cut(value, ":")
		n.Extra = append(n.Extra, Veth{Host: host, Machine: machine})
	case "Port":
		p.port(value)
	default:
		return false
	}
	return true
}

// port reads [PROTOCOL:]HOST[:MACHINE].
func (p *settingsReader) port(value string) {
	port, rest := Port{}, value
	for _, protocol := range []string{"tcp", "udp"} {
		if after, found := strings.CutPrefix(value, protocol+":"); found {
			rest = after
			port.Protocol = unlessDefault(protocol, "tcp")
		}
	}
	host, machine, both := strings.Cut(rest, ":")
	number, err := strconv.ParseUint(host, 10, 16)
	port.Host = uint16(number)
	if both && err == nil {
		number, err = strconv.ParseUint(machine, 10, 16)
		port.Machine = uint16(number)
	}
	if err != nil {
		p.fault("%q is no port", value)
		return
	}
	p.config.Network.Ports = append(p.config.Network.Ports, port)
}

// finish settles what several settings say together.
func (p *settingsReader) finish() {
	c := &p.config
	c.Network.Veth = p.veth && c.Network.Bridge == "" && c.Network.Zone == ""
	added := len(c.Network.Interfaces) + len(c.Network.MACVLAN) + len(c.Network.IPVLAN) + len(c.Network.Extra)
	c.Network.Host = !p.private && !c.Network.hasHost0() && c.Network.Namespace == "" && added == 0
	c.KillSignal = unlessDefault(c.KillSignal, "SIGRTMIN+4")
	if !p.boot {
		c.Command = p.parameters
	} else {
		c.KernelCommandLine = p.parameters
		if len(p.parameters) > 0 && c.Hostname != "" && p.parameters[0] == "systemd.hostname="+c.Hostname {
			c.KernelCommandLine = nonEmpty(p.parameters[1:])
		}
	}
	defaultOwnership := Config{Users: Users{Mode: c.Users.Mode}}
	c.Users.Ownership = unlessDefault(c.Users.Ownership, defaultOwnership.ownership())
}

// boolean reads what systemd takes for one.
func (p *settingsReader) boolean(value string) bool {
	switch strings.ToLower(value) {
	case "1", "yes", "y", "true", "t", "on":
		return true
	case "0", "no", "n", "false", "f", "off":
		return false
	}
	p.fault("%q is neither yes nor no", value)
	return false
}

func (p *settingsReader) number(value string) uint64 {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		p.fault("%q is no number", value)
	}
	return n
}
