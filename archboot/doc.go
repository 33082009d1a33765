// Package archboot turns an empty directory into a bootable Arch Linux root.
//
//	err := archboot.Bootstrap(ctx, "/var/lib/machines/gw", archboot.Config{
//		Repositories: []archboot.Repository{
//			{Name: "core", Servers: servers},
//			{Name: "extra", Servers: servers},
//		},
//		Keys:     [][]byte{key},
//		Hostname: "gw",
//		Password: file,
//	})
//
// The packages come from a mirror by the host's pacman, which Arch has and Debian
// packages as pacman-package-manager, or by that of a bootstrap tarball; or the root
// is a clone of one that is there, see [Source]. All three ways give the same root.
// Only keys that the caller names, or else those of the host's pacman, are trusted to
// sign. Afterwards the root has a host name, a locale, a time zone, a root
// password, a network configuration, a keyring for its own pacman, and services
// enabled; it boots under systemd-nspawn, and with a kernel among the packages
// on metal.
//
// # Bases and clones
//
// A root takes seconds to make and milliseconds to clone. So make one per
// [Config.Key], without a host name and a password, keep it read-only, and [Clone] it
// for each machine; or clone it by other means, such as a store of snapshots, and give
// the clone its identity by [Identify]. A [Cache] makes bases under a lock.
//
// Two roots of one Config from one state of the mirror have the same [Manifest],
// but for the few files that [VolatilePaths] lists. A mirror that is an archive stays in
// one state, see [ArchiveServer].
//
// # Nothing is left behind
//
// What runs in the root runs in mount, PID, IPC and UTS namespaces and, where there is
// cgroup v2, in a control group of its own, with a clean environment, umask 022, and /dev,
// /proc, /sys, /run and /tmp of its own. The network is the caller's, or that of
// [Config].NetworkNamespace. The agents that GnuPG starts, mounts, and half-run install
// scripts end with Bootstrap, also when the context ends or the process is killed. A
// root that a killed process left unfinished is recognised, never used, and begun again.
//
// Of the sandbox that pacman 7 has for downloads (another user, Landlock, seccomp) as
// much is used as works: the user must exist and be able to reach the root and the
// package cache, the kernel must have the rest. An event says which it is.
//
// Every file that this package writes into a root it writes through openat2(2)
// confined to the root, so that no symlink in a package leads outside. pacman, which follows
// them, sees all else read-only but the package cache.
//
// # Passwords
//
// A password is read from an io.Reader, hashed in this process, and written to
// the root's /etc/shadow. It is in no argument list, no environment, no log and
// no key.
//
// # What it needs
//
// Linux 5.12, root privileges, and the programs sh, mount and cat; and pacman and gpg
// unless there is a tarball. A clone needs none of them, and cp where it is no snapshot.
//
// # Limits
//
// Install scripts run as root; the namespaces above are what confines them. The
// machine's own pacman keeps the sandbox as its package configures it. No root is made
// without privileges, none for an architecture that the host cannot run, and no boot
// loader is installed.
package archboot
