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
// packages as pacman-package-manager, or by that of a bootstrap tarball, see
// [Source]; the root is the same. Only keys that the caller names are trusted
// to sign. Afterwards the root has a host name, a locale, a time zone, a root
// password, a network configuration, a keyring for its own pacman, and services
// enabled; it boots under systemd-nspawn, and with a kernel among the packages
// on metal.
//
// # Bases and clones
//
// A root takes seconds to make and milliseconds to clone. So make one per
// [Config.Key], without a host name and a password, keep it read-only, clone it
// for each machine by whatever means the file system offers, and give every clone
// its [Identity]. A [Cache] does the former under a lock.
//
// Two roots of one Config from one state of the mirror have the same [Manifest],
// but for the few files that [Volatile] lists. A mirror that is an archive stays in
// one state, see [ArchiveServer].
//
// # Nothing is left behind
//
// What runs in the root runs in mount, PID, IPC and UTS namespaces of its own,
// with a clean environment, and with /dev, /proc, /sys, /run and /tmp of its own.
// They share the network with the caller. The agents that GnuPG starts, mounts,
// and half-run install scripts end with Bootstrap, also when the context ends
// or the process is killed. A root that a killed process left unfinished is
// recognised, never used, and begun again.
//
// Every file that this package writes into a root it writes through openat2(2)
// confined to the root, so that no symlink in a package leads outside.
//
// # Passwords
//
// A password is read from an io.Reader, hashed in this process, and written to
// the root's /etc/shadow. It is in no argument list, no environment, no log and
// no key.
//
// # What it needs
//
// Linux 5.6, root privileges, and the programs sh, mount and cat; and pacman and gpg
// unless there is a tarball.
//
// # Limits
//
// pacman runs as root, without the sandbox for downloads that pacman 7 can use: its
// own user and Landlock are not set up for a root that does not exist yet. The
// namespaces above are what confines it. The machine's own pacman keeps the sandbox
// as its package configures it. No root is made without privileges, none for an
// architecture that the host cannot run, and no boot loader is installed.
package archboot
