package archboot

import (
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
)

// A Config says what a root shall hold. It is plain data: making one needs no
// privileges and touches nothing. The zero value takes the host's own
// repositories (Arch hosts only), [DefaultPackages], DHCP, UTC and C.UTF-8.
type Config struct {
	// Repositories are searched in this order. Nil means core and extra with the
	// servers of the host's /etc/pacman.d/mirrorlist, and packages that are signed.
	Repositories []Repository
	// MachineRepositories are what the machine's own pacman.conf says, for
	// mirrors that the machine reaches by another address than the host. Nil
	// means Repositories.
	MachineRepositories []Repository
	// Keys are OpenPGP public keys, armoured or binary, one or several in each
	// element. All of them are trusted, here and by the machine's pacman. Nil
	// means the host's pacman keyring, /etc/pacman.d/gnupg.
	Keys [][]byte
	// Architecture is the one that packages are made for, x86_64 by default.
	Architecture string
	// Packages are the names or groups to install. Nil means DefaultPackages.
	Packages []string

	// Hostname may be empty: then the kernel command line or nspawn decides.
	Hostname string
	// MachineID is the policy for /etc/machine-id.
	MachineID MachineID
	// Locale is the system's LANG, C.UTF-8 by default. Others, such as
	// en_US.UTF-8, are generated.
	Locale string
	// Keymap is that of the console, such as fr-latin9. Empty writes none.
	Keymap string
	// TimeZone is a name below /usr/share/zoneinfo, UTC by default.
	TimeZone string

	// Password yields root's password, up to 1024 bytes; one newline at its end
	// is dropped. It is read once and leaves this process as a hash only. Nil, or
	// an empty password, sets none, and nobody can log in with a password; the
	// latter gives an [EventWarning].
	Password io.Reader `json:"-"`
	// PasswordHash is a crypt(5) hash, instead of Password.
	PasswordHash string `json:"-"`
	// AuthorizedKeys are lines for root's ~/.ssh/authorized_keys.
	AuthorizedKeys []string

	// Network is how the machine gets its address, DHCP by default.
	Network Network
	// Resolver is what /etc/resolv.conf says. The zero value leaves the file as
	// the packages made it.
	Resolver Resolver
	// NTP are the servers for systemd-timesyncd. Nil keeps its own defaults.
	NTP []string
	// Services are units to enable. Nil means [DefaultServices]; an empty list
	// that is not nil enables none.
	Services []string
	// Files are written at the end, over whatever the packages brought.
	Files []File

	// Source is how to come by a pacman, by default the host's.
	Source Source `json:"-"`
	// CacheDir keeps packages from one bootstrap to the next and may be shared
	// by several at once. Empty keeps none. Where other users may write to it, or
	// exchange it or a directory above it, pacman checks every signature once more,
	// which takes longer.
	CacheDir string `json:"-"`
	// NetworkNamespace is the path of the network namespace that pacman and all that
	// runs in the root are in, such as /proc/PID/ns/net. Empty means the caller's. A
	// tarball, and the state of a mirror for a [Cache], are fetched from the caller's.
	NetworkNamespace string `json:"-"`
	// Progress, when not nil, is called with each [Event] of an operation, from
	// one goroutine at a time. It must not block for long.
	Progress func(Event) `json:"-"`
	// Logger gets what the programs print, at debug level. Nil is silent.
	Logger *slog.Logger `json:"-"`
}

// A Repository is a section of pacman.conf(5).
type Repository struct {
	Name string
	// Servers are tried in order. $repo and $arch stand for the repository's
	// name and the architecture.
	Servers []string
	// SigLevel is as in pacman.conf(5), "Required DatabaseOptional" by default, since
	// Arch signs its packages and not its databases. The keys in
	// Config.Keys are the only ones known, so that TrustedOnly, which is implied,
	// accepts exactly those.
	SigLevel string
}

// A MachineID is a policy for /etc/machine-id: one of the constants, or an id of
// 32 hexadecimal digits.
type MachineID string

const (
	// MachineIDAtBoot leaves the file empty. The machine makes an id when it
	// boots first and keeps it, without the questions and presets of a first
	// boot. Right for a root that others are cloned from.
	MachineIDAtBoot MachineID = ""
	// MachineIDRandom writes a new id now.
	MachineIDRandom MachineID = "random"
	// MachineIDFirstBoot makes systemd treat the next boot as the first one, see
	// "First Boot Semantics" in machine-id(5).
	MachineIDFirstBoot MachineID = "uninitialized"
)

// A Network is a .network file of the machine's systemd-networkd. The zero value
// asks DHCP on every wired interface.
type Network struct {
	// None writes no file.
	None bool
	// Match are names of interfaces, with * and ?; eth*, en* and host* by
	// default, which are VMs, bare metal and nspawn.
	Match []string
	// Addresses make the interface static instead of DHCP.
	Addresses []netip.Prefix
	Gateway   netip.Addr
}

// A Resolver is the content of /etc/resolv.conf.
type Resolver struct {
	Servers []netip.Addr // tried in order; glibc uses the first three
	Search  []string
}

// A File is an extra file in the root, owned by root. Missing directories are
// made with mode 0755.
type File struct {
	Path string
	Data []byte
	Mode fs.FileMode // 0644 where zero
}

// DefaultPackages returns what a Config without Packages installs: a base system
// with an editor, an SSH server, DNS tools and a terminal description.
func DefaultPackages() []string {
	return []string{"base", "bind", "openssh", "rxvt-unicode-terminfo", "vim"}
}

// DefaultServices returns the units that a Config without Services enables.
func DefaultServices() []string {
	return []string{"sshd.service", "systemd-networkd.service", "systemd-timesyncd.service"}
}

// withDefaults returns the Config with every default filled in that does not
// depend on the host.
func (c Config) withDefaults() Config {
	if c.Architecture == "" {
		c.Architecture = "x86_64"
	}
	if c.Packages == nil {
		c.Packages = DefaultPackages()
	}
	if c.Services == nil {
		c.Services = DefaultServices()
	}
	if c.Locale == "" {
		c.Locale = "C.UTF-8"
	}
	if c.TimeZone == "" {
		c.TimeZone = "UTC"
	}
	if c.MachineRepositories == nil {
		c.MachineRepositories = c.Repositories
	}
	return c
}

func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}
