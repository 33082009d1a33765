package debian

import (
	"path"
	"strings"
)

// canonical maps a path of a Debian tree to where Arch's merged /usr has it:
// one bin and one lib, no sbin and no lib64.
func canonical(p string) string {
	first, rest, nested := strings.Cut(p, "/")
	switch first {
	case "bin", "sbin", "lib", "lib64", "libx32", "lib32":
		if !nested {
			return p
		}
		p = "usr/" + first + "/" + rest
	}
	for from, to := range map[string]string{"usr/sbin/": "usr/bin/", "usr/lib64/": "usr/lib/"} {
		if tail, ok := strings.CutPrefix(p, from); ok {
			return to + tail
		}
	}
	return p
}

// merged are the directories that become symbolic links in package filesystem.
var merged = map[string]string{
	"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib",
	"usr/sbin": "bin", "usr/lib64": "lib",
}

// unwanted are patterns of what no package gets: Debian's own machinery, state,
// secrets, and documentation. A pattern that ends in a slash drops all below it.
var unwanted = []string{
	"dev/", "proc/", "sys/", "run/", "tmp/", "lib32", "libx32", "libo32",
	"usr/games", "usr/local/games", "usr/local/man", "usr/src/",
	"etc/X11", "etc/alternatives", "etc/apparmor.d", "etc/apt", "etc/ca-certificates",
	"etc/cron.*", "etc/debian_version", "etc/dhcp", "etc/dpkg", "etc/init.d", "etc/insserv.conf.d",
	"etc/kernel", "etc/logcheck", "etc/postgresql-common", "etc/logrotate.d", "etc/network", "etc/ppp", "etc/rc?.d",
	"etc/resolvconf", "etc/rmt", "etc/runit", "etc/selinux", "etc/sv", "etc/ufw", "etc/update-motd.d",
	"etc/group-", "etc/gshadow-", "etc/hostname", "etc/ld.so.cache", "etc/machine-id",
	"etc/passwd-", "etc/resolv.conf", "etc/.resolv.conf.systemd-resolved.bak", "etc/shadow-",
	"etc/subgid-", "etc/subuid-", "etc/.pwd.lock", "etc/systemd/system/", "etc/systemd/user/",
	"etc/ssh/ssh_host_*", "etc/ssl/private/", "etc/ssl/certs/ssl-cert-*",
	"usr/share/apport", "usr/share/base-files", "usr/share/base-passwd", "usr/share/bug",
	"usr/share/common-licenses", "usr/share/debconf", "usr/share/debianutils", "usr/share/doc",
	"usr/share/doc-base", "usr/share/dpkg", "usr/share/info/", "usr/share/initramfs-tools",
	"usr/share/keyrings", "usr/share/lintian", "usr/share/locale/*/", "usr/share/man/",
	"usr/share/menu", "usr/share/python3/runtime.d",
	"var/backups", "var/lib/apt", "var/lib/dpkg", "var/lib/pam", "var/lib/python",
	"var/lib/shells.state", "var/lib/systemd/catalog/database", "var/lib/systemd/deb-systemd-*",
	"var/lib/systemd/random-seed", "var/lib/ucf", "var/lib/wtmpdb/wtmp.db",
}

// enabled are the only units that Arch enables in a new system.
var enabled = map[string]bool{
	"etc/systemd/system/getty.target.wants/getty@tty1.service":    true,
	"etc/systemd/system/multi-user.target.wants/remote-fs.target": true,
	"etc/systemd/system/getty.target.wants":                       true,
	"etc/systemd/system/multi-user.target.wants":                  true,
	"etc/systemd/system":                                          true,
}

// keep reports whether a canonical path belongs in a package.
func keep(p string, dir bool) bool {
	if enabled[p] {
		return true
	}
	if strings.Contains(p, "/__pycache__") {
		return false
	}
	for _, top := range []string{"var/log/", "var/cache/"} {
		// Services want their directories there, and nobody what was logged.
		if strings.HasPrefix(p, top) && !dir {
			return false
		}
	}
	for _, pattern := range unwanted {
		if matches(pattern, p) {
			return false
		}
	}
	return true
}

// matches compares element by element; a pattern ending in a slash matches
// everything below it.
func matches(pattern, p string) bool {
	want := strings.Split(strings.TrimSuffix(pattern, "/"), "/")
	got := strings.Split(p, "/")
	if strings.HasSuffix(pattern, "/") {
		if len(got) <= len(want) {
			return false
		}
	} else if len(got) < len(want) {
		return false
	}
	for i := range want {
		if ok, _ := path.Match(want[i], got[i]); !ok {
			return false
		}
	}
	return true
}
