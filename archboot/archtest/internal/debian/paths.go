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
	"dev/", "proc/", "sys/", "run/", "tmp/", "boot/", "lib32", "libx32", "libo32",
	"usr/games", "usr/local/games", "usr/src/",
	"etc/alternatives/", "etc/apt/", "etc/dpkg/", "etc/rc?.d/", "etc/init.d/",
	"etc/cron.*/", "etc/logrotate.d/", "etc/kernel/", "etc/ufw/", "etc/apparmor.d/",
	"etc/insserv.conf.d/", "etc/ca-certificates/update.d/", "etc/network/",
	"etc/machine-id", "etc/hostname", "etc/resolv.conf", "etc/.resolv.conf.systemd-resolved.bak",
	"etc/ld.so.cache", "etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-",
	"etc/gshadow-", "etc/subuid-", "etc/subgid-", "etc/debian_version",
	"etc/systemd/system/", "etc/systemd/user/", "etc/ssh/ssh_host_*",
	"usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/",
	"usr/share/lintian/", "usr/share/bug/", "usr/share/doc-base/", "usr/share/menu/",
	"usr/share/debconf/", "usr/share/initramfs-tools/", "usr/share/apport/",
	"usr/share/common-licenses/", "usr/share/base-files/", "usr/share/base-passwd/",
	"usr/share/keyrings/", "usr/share/python3/", "usr/share/dpkg/",
	"var/lib/dpkg/", "var/lib/apt/", "var/lib/ucf/", "var/lib/pam/", "var/lib/shells.state",
	"var/lib/systemd/catalog/database", "var/lib/systemd/deb-systemd-*",
	"var/lib/systemd/random-seed", "var/lib/python/", "var/backups/", "var/lib/wtmpdb/wtmp.db",
	"usr/lib/python3/dist-packages/*/__pycache__/", "usr/lib/tmpfiles.d/debian.conf",
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
