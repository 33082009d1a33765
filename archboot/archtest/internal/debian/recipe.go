package debian

// recipe says how one Arch package is made of Debian ones. A .deb that no recipe
// names becomes a package of its own name.
type recipe struct {
	// debs are merged; the first that is installed gives version and summary. They
	// may be patterns, for names that hold a version.
	debs []string
	// takes are patterns of paths that this package gets, whoever owns them.
	takes []string
	// owns are patterns of paths that no .deb owns and this package gets.
	owns []string
	// without are patterns of paths that Arch does not have, beyond those that no
	// package gets.
	without []string
	// rename moves paths; a key ending in a slash moves all below it.
	rename map[string]string
	// edit replaces text in files of the tree: path → old, new. The old text must
	// be there.
	edit map[string][2]string
	// expose are patterns of programs that get a link in usr/bin.
	expose []string
	// links are symbolic links to add, by path.
	links map[string]string
	// dirs are directories to add, by path, with mode and owner.
	dirs map[string]dir

	summary                     string
	depends, provides, replaces []string
	// independent ignores what the .debs depend on.
	independent bool
	// ignore are Arch packages that the .debs depend on and this one does not.
	ignore []string
}

type dir struct {
	mode  uint32
	owner string // account that owns it, with its group; default root
	group string // if it is not the owner's
}

// base is what Arch's package of that name depends on.
var base = []string{
	"filesystem", "glibc", "gcc-libs", "bash", "coreutils", "findutils", "mawk", "grep",
	"gzip", "bzip2", "xz", "zstd", "tar", "sed", "diffutils", "which", "util-linux",
	"shadow", "pam", "pambase", "systemd", "systemd-sysvcompat", "dbus", "pacman",
	"archlinux-keyring", "iproute2", "iputils", "inetutils", "procps-ng", "psmisc",
	"tzdata", "less", "ncurses", "ca-certificates",
}

// core are the packages in repository core that can be installed by name besides
// base and what it needs.
var core = []string{"openssh", "vim", "bind-tools", "rxvt-unicode-terminfo", "curl", "dash"}

// stubs are packages of core that hold nothing but files of ours: what a machine
// with a kernel of its own installs besides, and a container never runs.
var stubs = []string{"linux", "linux-firmware", "mkinitcpio"}

// included are the Debian packages that the base tree is made of.
var included = []string{
	"systemd", "systemd-sysv", "systemd-timesyncd", "systemd-resolved", "udev", "dbus", "libnss-myhostname", "libnss-resolve", "libnss-systemd", "libpam-systemd",
	"pacman-package-manager", "libarchive-tools", "gnupg", "openssh-server", "openssh-client",
	"vim-tiny", "bind9-dnsutils", "bind9-host", "iproute2", "iputils-ping", "procps", "psmisc",
	"less", "locales", "tzdata", "netbase", "ca-certificates", "curl", "xz-utils", "bzip2", "zstd",
}

// plumbing are Debian packages that have no place in Arch: no package is made of
// them, and nothing depends on them.
var plumbing = set(
	"adduser", "apt", "base-passwd", "cdebconf", "debconf", "debconf-2.0", "debian-archive-keyring",
	"dpkg", "init-system-helpers", "libapt-pkg6.0", "libapt-pkg7.0", "libdebconfclient0",
	"liblocale-gettext-perl", "libtext-charwidth-perl", "libtext-wrapi18n-perl", "lsb-base",
	"perl-base", "postgresql", "postgresql-client-common", "postgresql-common", "runit-helper", "ssl-cert", "sensible-utils", "sqv", "sysvinit-utils", "ucf", "usr-is-merged",
	"usrmerge", "update-inetd", "tzdata-legacy",
)

var recipes = map[string]recipe{
	"archlinux-keyring": {depends: []string{"pacman"}, summary: "Keyring of the test mirror"},
	"filesystem": {
		debs:    []string{"base-files", "netbase"},
		without: []string{"etc/motd", "etc/update-motd.d", "etc/default/locale", "etc/vconsole.conf", "etc/locale.conf", "etc/environment", "etc/localtime", "etc/timezone", "usr/lib/os-release", "etc/issue*", "root/.*", "etc/host.conf", "etc/dpkg", "etc/fstab", "etc/hosts.*", "usr/share/dict", "etc/rpc"},
		summary: "Base Arch Linux files",
		links: map[string]string{
			"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib",
			"usr/sbin": "bin", "usr/lib64": "lib", "etc/os-release": "../usr/lib/os-release",
			"etc/mtab": "../proc/self/mounts", "var/run": "../run", "var/lock": "../run/lock",
			"var/mail": "spool/mail",
		},
		dirs: map[string]dir{
			"boot": {mode: 0o755}, "dev": {mode: 0o755}, "proc": {mode: 0o555}, "sys": {mode: 0o555},
			"run": {mode: 0o755}, "tmp": {mode: 0o1777}, "mnt": {mode: 0o755}, "srv": {mode: 0o755},
			"srv/http": {mode: 0o755}, "srv/ftp": {mode: 0o555}, "var/spool/mail": {mode: 0o1777},
			"var/tmp": {mode: 0o1777}, "var/empty": {mode: 0o755}, "root": {mode: 0o750},
		},
		independent: true,
	},
	"glibc": {
		debs:     []string{"libc6", "libc-bin", "locales", "libc-l10n"},
		owns:     []string{"etc/locale.gen"},
		without:  []string{"etc/locale.alias"},
		provides: []string{"locales"},
		depends:  []string{"filesystem", "tzdata"},
	},
	"gcc-libs": {debs: []string{"libgcc-s1", "libstdc++6", "gcc-14-base", "gcc-12-base", "gcc-15-base", "gcc-16-base"}},
	"bash": {
		debs:     []string{"bash"},
		links:    map[string]string{"usr/bin/sh": "bash"},
		provides: []string{"sh"},
		ignore:   []string{"filesystem", "which"},
		depends:  []string{"filesystem"},
	},
	"dash":      {debs: []string{"dash"}, without: []string{"usr/bin/sh"}},
	"which":     {debs: []string{"debianutils"}},
	"inetutils": {debs: []string{"hostname"}, summary: "The hostname program"},
	"util-linux": {
		debs: []string{"util-linux", "mount", "bsdutils", "util-linux-extra", "login"},
		owns: []string{"etc/pam.d/login"},
	},
	"util-linux-libs": {debs: []string{"libblkid1", "libmount1", "libsmartcols1", "libuuid1", "libfdisk1", "liblastlog2-2"}},
	"shadow":          {debs: []string{"passwd", "login.defs"}},
	"pam":             {debs: []string{"libpam0g", "libpam-modules", "libpam-modules-bin"}, owns: []string{"etc/security/opasswd"}, ignore: []string{"pambase"}},
	"pambase":         {debs: []string{"libpam-runtime"}, owns: []string{"etc/pam.d/*"}, summary: "Base PAM configuration for services"},
	"systemd": {
		debs: []string{"systemd", "systemd-timesyncd", "systemd-resolved", "udev", "libsystemd-shared", "libnss-myhostname", "libnss-resolve", "libnss-systemd", "libpam-systemd", "systemd-cryptsetup"},
		owns: []string{"etc/systemd/system/*"},
		// The accounts of basic.conf are Debian's; Arch's are in filesystem.
		without: []string{"usr/lib/systemd/system-preset/90-systemd.preset", "usr/lib/sysusers.d/basic.conf"},
		depends: []string{"bash", "coreutils", "dbus", "pam"},
		dirs:    map[string]dir{"var/log/journal": {mode: 0o2755, group: "systemd-journal"}},
	},
	"systemd-libs":       {debs: []string{"libsystemd0", "libudev1"}, provides: []string{"libsystemd", "libudev"}},
	"systemd-sysvcompat": {debs: []string{"systemd-sysv"}},
	"dbus": {
		debs:   []string{"dbus", "dbus-bin", "dbus-daemon", "dbus-session-bus-common", "dbus-system-bus-common", "libdbus-1-3"},
		ignore: []string{"systemd"},
	},
	"openssl": {debs: []string{"libssl3t64", "libssl3", "libssl4", "openssl", "openssl-provider-legacy"}, depends: []string{"glibc"}, ignore: []string{"perl"}},
	"ca-certificates": {
		debs: []string{"ca-certificates"},
		owns: []string{"etc/ssl/certs", "etc/ssl/certs/*", "etc/ca-certificates.conf"},
	},
	"ncurses": {debs: []string{"libncursesw6", "libtinfo6", "ncurses-base", "ncurses-bin"}},
	"rxvt-unicode-terminfo": {
		takes:   []string{"usr/share/terminfo/r/rxvt-unicode*", "usr/lib/terminfo/r/rxvt-unicode*"},
		summary: "Terminal description of rxvt-unicode",
	},
	"readline":   {debs: []string{"libreadline8t64", "libreadline8", "readline-common"}},
	"iputils":    {debs: []string{"iputils-ping"}},
	"procps-ng":  {debs: []string{"procps", "libproc2-0"}},
	"zlib":       {debs: []string{"zlib1g"}},
	"bzip2":      {debs: []string{"bzip2", "libbz2-1.0"}},
	"xz":         {debs: []string{"xz-utils", "liblzma5"}},
	"zstd":       {debs: []string{"zstd", "libzstd1"}},
	"acl":        {debs: []string{"libacl1"}},
	"attr":       {debs: []string{"libattr1"}},
	"curl":       {debs: []string{"curl", "libcurl4t64", "libcurl4"}},
	"libarchive": {debs: []string{"libarchive13t64", "libarchive13", "libarchive-tools"}},
	"krb5":       {debs: []string{"libkrb5-3", "libk5crypto3", "libkrb5support0", "libgssapi-krb5-2"}},
	"sqlite":     {debs: []string{"libsqlite3-0", "sqlite3"}},
	"gnupg": {
		debs:   []string{"gnupg", "gnupg-l10n", "gpg", "gpg-agent", "gpgconf", "gpgsm", "gpgv", "dirmngr", "gnupg-utils", "gpg-wks-client", "gpg-wks-server", "keyboxd"},
		ignore: []string{"perl"},
	},
	"pinentry": {debs: []string{"pinentry-curses"}},
	"pacman": {
		debs:    []string{"pacman-package-manager", "libalpm15", "libalpm14", "libalpm13", "libalpm16"},
		owns:    []string{"usr/share/makepkg", "usr/share/makepkg/*", "etc/makepkg.conf", "usr/bin/vercmp", "usr/bin/testpkg"},
		depends: []string{"bash", "coreutils", "curl", "gnupg", "mawk", "libarchive"},
		edit:    map[string][2]string{"usr/bin/pacman-key": {"/usr/share/keyrings", "/usr/share/pacman/keyrings"}},
		dirs: map[string]dir{
			"etc/pacman.d": {mode: 0o755}, "etc/pacman.d/hooks": {mode: 0o755},
			"var/cache/pacman/pkg": {mode: 0o755}, "var/lib/pacman": {mode: 0o755},
		},
	},
	"openssh": {
		debs: []string{"openssh-server", "openssh-client", "openssh-sftp-server"},
		owns: []string{"etc/ssh/*", "etc/pam.d/sshd"},
		without: []string{"usr/lib/systemd/system/ssh*", "usr/lib/systemd/system/sshd-keygen.service",
			"usr/lib/systemd/system/rescue-ssh.target", "etc/default/ssh"},
	},
	"vim": {debs: []string{"vim-tiny", "vim-common"}, links: map[string]string{"usr/bin/vim": "vim.tiny"}, summary: "Vi Improved, the small build"},
	"linux": {
		summary: "The Linux kernel and modules (a stub)",
		depends: []string{"coreutils", "mkinitcpio"}, provides: []string{"KSMBD-MODULE", "VIRTUALBOX-GUEST-MODULES", "WIREGUARD-MODULE"},
	},
	"linux-firmware": {summary: "Firmware files for Linux (a stub)"},
	"mkinitcpio": {
		summary: "Modular initramfs image creation utility (a stub)",
		depends: []string{"bash", "coreutils", "libarchive"}, provides: []string{"initramfs"},
		dirs: map[string]dir{"boot": {mode: 0o755}, "etc/mkinitcpio.d": {mode: 0o755}},
	},
	"bind-tools": {
		debs:    []string{"bind9-dnsutils", "bind9-host", "bind9-libs"},
		summary: "The ISC DNS tools",
	},
}

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}
