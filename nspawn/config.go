package nspawn

import (
	"math"
	"net"
	"time"
)

// Config describes one machine. It is plain data: making, comparing and
// printing one needs no privileges and touches nothing. Only Name and Root are
// required; the rest of a zero Config is a machine that boots the init of its
// root with no network but loopback.
type Config struct {
	// Name is how the machine is known on the host: at most 64 bytes of
	// letters, digits, '-', '_' and '.', as a host name is written.
	Name string
	// Root is the absolute path of the directory that the machine boots from.
	Root string
	// Hostname is the machine's own name; empty means Name.
	Hostname string
	// MachineID is 32 lower-case hexadecimal digits; empty leaves the choice
	// to the root's /etc/machine-id.
	MachineID string

	// Command is run as the machine's only payload, under a stub init. Empty
	// boots the root's own init.
	Command []string
	// KernelCommandLine holds words that the init of the machine reads as its
	// kernel command line, such as "systemd.mask=getty@tty1.service".
	KernelCommandLine []string
	// Environment holds NAME=VALUE entries for the first process.
	Environment []string
	// Credentials are handed to the machine's service manager.
	Credentials []Credential

	// Network says how the machine is wired; the zero value is loopback only.
	Network Network

	// Binds are files and directories of the host that the machine sees.
	Binds []Bind
	// Tmpfs are empty file systems in memory, mounted when the machine starts.
	Tmpfs []Tmpfs
	// Overlays are stacks of the host's directories, mounted in the machine.
	Overlays []Overlay
	// Inaccessible are paths in the machine that nothing may open.
	Inaccessible []string
	// Devices are device nodes of the host, such as /dev/net/tun, that the
	// machine may use. One with a leading '-', as "-/dev/kvm", is left out by a
	// Host that has none.
	Devices []string

	// Capabilities are kept beyond nspawn's default set, as "CAP_SYS_TIME";
	// "all" keeps every one.
	Capabilities []string
	// DropCapabilities are taken from nspawn's default set.
	DropCapabilities []string
	// SystemCallFilter allows system calls or @groups beyond nspawn's filter,
	// or denies those written with a leading '~'.
	SystemCallFilter []string
	// KernelVariables says whether /proc/sys and /sys may be written.
	KernelVariables Access
	// Users maps the machine's users onto others of the host.
	Users Users
	// Limits bounds what the machine may use.
	Limits Limits

	// ReadOnly mounts the root read-only.
	ReadOnly bool
	// Volatile forgets changes: nothing but /usr of the root is used
	// (VolatileYes), changes to /var are lost (VolatileState), or all changes
	// are (VolatileOverlay).
	Volatile Volatile
	// Ephemeral boots a throw-away snapshot of the root.
	Ephemeral bool
	// SuppressSync turns sync system calls of the machine, and of commands in it,
	// into nothing, which makes package installation several times faster and a
	// power cut fatal. Machines that a Host starts can still use openat2(2), which
	// nspawn's own --suppress-sync denies.
	SuppressSync bool

	// ResolvConf is nspawn's --resolv-conf mode; empty means "off": the root's
	// own file is left alone.
	ResolvConf string
	// Timezone is nspawn's --timezone mode; empty means "off".
	Timezone string
	// LinkJournal is nspawn's --link-journal mode; empty means "no".
	LinkJournal string

	// Console is what the machine has for its /dev/console; empty is ConsolePipe,
	// or by hand what nspawn chooses.
	Console Console

	// KillSignal asks the first process to power off, by name ("SIGRTMIN+4").
	// Empty means SIGRTMIN+4, on which the stub init of a Command sends
	// it SIGTERM and SIGHUP.
	KillSignal string
	// Stop holds the deadlines of an orderly stop.
	Stop StopTimeouts
	// Reboot says what happens when the machine asks to reboot.
	Reboot RebootPolicy
}

// MaskUnits makes words for Config.KernelCommandLine that keep units of the
// machine from being started, such as "systemd-networkd-wait-online.service".
func MaskUnits(names ...string) []string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = "systemd.mask=" + name
	}
	return words
}

// StopTimeouts are the patience of Machine.Stop at each of its steps. Zero
// means the default.
type StopTimeouts struct {
	Poweroff  time.Duration // from the request to power off until SIGTERM; default 20 s
	Terminate time.Duration // from SIGTERM until SIGKILL; default 5 s
}

// RebootPolicy says what to do about a machine that asks to be rebooted.
type RebootPolicy string

// The policies for reboots.
const (
	RebootAllow RebootPolicy = ""     // start it again on the same root and network
	RebootStop  RebootPolicy = "stop" // treat a reboot as a power-off
)

// Console is how a machine's console is connected.
type Console string

// The consoles, as systemd-nspawn(1) names them. What a machine writes to the
// first two is read by Machine.Console.
const (
	ConsolePipe        Console = "pipe"        // a plain stream, no terminal
	ConsoleReadOnly    Console = "read-only"   // a terminal that nobody types at
	ConsolePassive     Console = "passive"     // a terminal that is connected to nothing
	ConsoleInteractive Console = "interactive" // the terminal of who starts it: only by hand
)

// Access says how far kernel variables may be written from inside.
type Access string

// The levels of access to /proc/sys and /sys.
const (
	AccessNone    Access = ""        // read-only, nspawn's default
	AccessNetwork Access = "network" // /proc/sys/net is writable, as a router needs
	AccessAll     Access = "yes"     // all are writable, as a host of further machines needs
)

// Volatile is how much of the machine's root is forgotten when it stops.
type Volatile string

// The volatile modes, as systemd-nspawn(1) names them.
const (
	VolatileNo      Volatile = ""
	VolatileYes     Volatile = "yes"
	VolatileState   Volatile = "state"
	VolatileOverlay Volatile = "overlay"
)

// Credential is a named secret for the machine's service manager. Exactly one
// of Value and Path is given. A value is not put on a command line where other
// users of the host could read it, except by CommandLine, which is for people.
type Credential struct {
	ID    string
	Value string
	Path  string // absolute path of a file on the host
}

// Network says how a machine is wired. At most one of Host, Veth, Bridge, Zone
// and Namespace may be chosen; none leaves the machine alone with loopback and
// whatever Interfaces, MACVLAN, IPVLAN and Extra give it.
type Network struct {
	// Host shares the host's network.
	Host bool
	// Veth makes a pair: host0 in the machine and ve-NAME on the host.
	Veth bool
	// Bridge is an existing bridge that the host's end (vb-NAME) joins.
	Bridge string
	// Zone is a bridge vz-ZONE that is made with its first machine and goes
	// with its last; at most 12 bytes.
	Zone string
	// Namespace is the path of an existing network namespace to live in.
	Namespace string

	// MAC is the address of host0; nil lets nspawn derive one from the name.
	// It needs Veth, Bridge or Zone.
	MAC net.HardwareAddr
	// Interfaces are moved from the host into the machine while it runs.
	Interfaces []string
	// MACVLAN and IPVLAN are interfaces of the host to derive one from each.
	MACVLAN []string
	IPVLAN  []string
	// Extra are further pairs of interfaces.
	Extra []Veth
	// Ports are forwarded from the host; they need Veth, Bridge or Zone.
	Ports []Port
}

// Veth is a pair of interfaces; an empty Machine name means the same as Host's.
type Veth struct {
	Host    string
	Machine string
}

// Port is a forwarded port.
type Port struct {
	Protocol string // "tcp" (also when empty) or "udp"
	Host     uint16
	Machine  uint16 // 0 means the same as Host
}

// Bind is a file or directory of the host seen in the machine.
type Bind struct {
	Source string // absolute path on the host; empty makes a temporary directory
	Target string // absolute path in the machine; empty means Source
	// ReadOnly forbids writing through this path.
	ReadOnly bool
	// Optional makes a missing Source no error: a Host leaves the bind out then.
	// nspawn itself knows no such thing, nor does a .nspawn file.
	Optional bool
	// IDMap shows files as owned by the machine's users when Users maps them.
	IDMap bool
	// NoRecursive leaves out file systems mounted below Source.
	NoRecursive bool
}

// Tmpfs is an empty file system in memory.
type Tmpfs struct {
	Target  string
	Options string // as for mount(8), such as "mode=1777,size=10%"
}

// Overlay is a stack of directories of the host, lowest first. The topmost
// takes the changes unless ReadOnly; an empty one there is temporary.
type Overlay struct {
	Layers   []string
	Target   string
	ReadOnly bool
}

// Users maps the users of a machine. Zero means none: root is root.
type Users struct {
	Mode UsersMode
	Base uint32 // first user ID on the host, with UsersRange
	// Ownership is "auto", "off" or "map"; empty means "map" where Users is
	// used. "chown" is refused: interrupted, it leaves a root half converted.
	Ownership string
}

// UsersMode selects a user namespace.
type UsersMode string

// The user namespace modes.
const (
	UsersHost     UsersMode = ""         // no user namespace
	UsersPick     UsersMode = "pick"     // a free range chosen by nspawn
	UsersIdentity UsersMode = "identity" // a namespace that maps each user onto itself
	UsersRange    UsersMode = "range"    // 65536 users from Base on
)

// Limits bounds what a machine may use; zero means no bound.
type Limits struct {
	Memory    uint64  // bytes
	CPUs      float64 // processors' worth of time; 0.5 is half of one
	Tasks     uint64  // processes and threads
	OpenFiles uint64  // descriptors per process
}

// cpuTime is the processors' time that is allowed in a period, to the nearest unit.
func (l Limits) cpuTime(period float64) uint64 { return uint64(math.Round(l.CPUs * period)) }
