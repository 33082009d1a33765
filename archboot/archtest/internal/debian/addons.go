package debian

// addon is a service that the caller asks for by its Arch name.
type addon struct {
	name string
	debs []string // what apt installs
	// lacking are the suites that do not have it.
	lacking []string
	// recipe is that of the package of this name, unless the base has it.
	recipe recipe
	// further are recipes of packages that come with it.
	further map[string]recipe
	users   map[string]string // renames accounts of Debian's to Arch's
	homes   map[string]string // of its accounts, where Arch has another
}

var addons = []addon{
	{
		name: "nginx",
		debs: []string{"nginx"},
		recipe: recipe{
			debs: []string{"nginx", "nginx-common"},
			without: []string{"etc/nginx/sites-*", "etc/nginx/modules-*", "etc/nginx/snippets", "etc/nginx/conf.d",
				"etc/default/nginx", "usr/share/nginx/modules*", "var/www", "usr/share/vim"},
			dirs: map[string]dir{
				"etc/nginx":     {mode: 0o755},
				"var/log/nginx": {mode: 0o750, owner: "http"},
			},
			depends: []string{"openssl", "bash"},
		},
	},
	{
		name: "bind",
		debs: []string{"bind9", "bind9-utils"},
		recipe: recipe{
			debs: []string{"bind9", "bind9-utils"},
			without: []string{"etc/bind/", "etc/default/named", "usr/lib/systemd/system/named*.service",
				"var/cache/bind", "var/lib/bind"},
			// named and its tools were built to look below /etc/bind, and Arch has their files in /etc.
			links:   map[string]string{"etc/bind": "."},
			dirs:    map[string]dir{"var/named": {mode: 0o770, owner: "named"}},
			depends: []string{"bind-tools", "bash"},
		},
		users: map[string]string{"bind": "named"},
		homes: map[string]string{"named": "/var/named"},
	},
	{
		name: "postgresql",
		debs: []string{"postgresql"},
		recipe: recipe{
			debs: []string{"postgresql-[0-9]*"},
			without: []string{"etc/postgresql*", "var/log/postgresql", "var/lib/postgresql", "usr/share/postgresql-common",
				"usr/lib/postgresql/*/lib/llvmjit*", "usr/lib/postgresql/*/lib/bitcode"},
			// The compiler of queries is larger than all the rest, and the server does without it.
			ignore: []string{"libllvm14", "libllvm19", "libllvm20", "libllvm21"},
			expose: []string{"usr/lib/postgresql/*/bin/*"},
			dirs: map[string]dir{
				"var/lib/postgres":      {mode: 0o700, owner: "postgres"},
				"var/lib/postgres/data": {mode: 0o700, owner: "postgres"},
			},
			depends: []string{"postgresql-libs", "bash"},
		},
		further: map[string]recipe{"postgresql-libs": {
			debs:   []string{"postgresql-client-[0-9]*", "libpq5"},
			expose: []string{"usr/lib/postgresql/*/bin/*"},
		}},
		homes: map[string]string{"postgres": "/var/lib/postgres"},
	},
	{
		name: "dhcp",
		debs: []string{"isc-dhcp-server"},
		// ISC ended it; Debian dropped it after trixie.
		lacking: []string{"sid"},
		recipe: recipe{
			debs:    []string{"isc-dhcp-server", "isc-dhcp-common"},
			without: []string{"etc/default", "etc/dhcp", "usr/lib/systemd/system/isc-*", "usr/lib/tmpfiles.d"},
			dirs:    map[string]dir{"var/lib/dhcp": {mode: 0o755}},
			depends: []string{"bash"},
		},
	},
	{
		name: "tftp-hpa",
		debs: []string{"tftpd-hpa", "tftp-hpa"},
		recipe: recipe{
			debs:    []string{"tftpd-hpa", "tftp-hpa"},
			without: []string{"etc/default", "usr/lib/systemd/system", "srv"},
			dirs:    map[string]dir{"srv/tftp": {mode: 0o755}},
		},
	},
	{
		name: "nbd",
		debs: []string{"nbd-server", "nbd-client"},
		recipe: recipe{
			debs:    []string{"nbd-server", "nbd-client"},
			without: []string{"etc/default", "etc/nbd-server", "etc/nbd-client", "usr/lib/systemd/system/nbd-server*"},
			dirs:    map[string]dir{"etc/nbd-server": {mode: 0o755}},
		},
	},
	{
		name:   "ipset",
		debs:   []string{"ipset"},
		recipe: recipe{debs: []string{"ipset", "libipset13"}},
	},
	{
		name:   "iptables",
		debs:   []string{"iptables"},
		recipe: recipe{debs: []string{"iptables", "libip4tc2", "libip6tc2"}},
	},
	{name: "sqlite", debs: []string{"sqlite3"}},
	{
		name:   "conntrack-tools",
		debs:   []string{"conntrack"},
		recipe: recipe{debs: []string{"conntrack"}},
	},
	{
		name: "nfs-utils",
		debs: []string{"nfs-kernel-server", "nfs-common", "rpcbind"},
		recipe: recipe{
			debs:    []string{"nfs-kernel-server", "nfs-common", "libnfsidmap1"},
			without: []string{"etc/default", "etc/exports", "etc/request-key.d"},
			depends: []string{"rpcbind"},
		},
	},
	{
		name:   "arch-install-scripts",
		debs:   []string{"arch-install-scripts"},
		recipe: recipe{debs: []string{"arch-install-scripts"}, depends: []string{"bash", "pacman", "util-linux"}, independent: true},
	},
	{
		name: "python",
		debs: []string{"python3", "python3-venv"},
		recipe: recipe{
			debs: []string{"python3.[0-9]*", "python3", "python3-minimal", "libpython3*", "python3-venv",
				"python3-pip-whl", "python3-setuptools-whl", "python3-distutils", "python3-lib2to3"},
			links: map[string]string{"usr/bin/python": "python3"},
		},
	},
	{name: "rsync", debs: []string{"rsync"}, recipe: recipe{debs: []string{"rsync"}, without: []string{"etc/default", "usr/lib/systemd/system"}}},
	{
		name:   "python-psycopg2",
		debs:   []string{"python3-psycopg2"},
		recipe: recipe{debs: []string{"python3-psycopg2"}},
	},
	{
		name:   "ipxe",
		debs:   []string{"ipxe"},
		recipe: recipe{debs: []string{"ipxe"}, without: []string{"boot"}, rename: map[string]string{"usr/lib/ipxe/": "usr/share/ipxe/"}, independent: true},
	},
	{
		name: "nfs-ganesha",
		debs: []string{"nfs-ganesha", "nfs-ganesha-vfs"},
		recipe: recipe{
			debs:    []string{"nfs-ganesha", "nfs-ganesha-vfs"},
			without: []string{"etc/default", "etc/ganesha", "usr/lib/systemd/system", "usr/lib/ganesha/nfs-ganesha-config.sh"},
			dirs:    map[string]dir{"etc/ganesha": {mode: 0o755}, "var/lib/nfs/ganesha": {mode: 0o755}},
		},
	},
	{name: "libnfs", debs: []string{"libnfs-utils"}, recipe: recipe{debs: []string{"libnfs-utils", "libnfs[0-9]*"}}},
	{name: "libnbd", debs: []string{"libnbd-bin", "fuse3"}, recipe: recipe{debs: []string{"libnbd-bin", "libnbd0"}, depends: []string{"fuse3"}}},
	{name: "fuse2fs", debs: []string{"fuse2fs"}},
	{name: "e2fsprogs", debs: []string{"e2fsprogs"}, recipe: recipe{debs: []string{"e2fsprogs", "logsave"}, without: []string{"usr/lib/systemd/system", "etc/cron.d"}}},
	{name: "pamtester", debs: []string{"pamtester"}},
	{
		// A kernel that boots in a virtual machine, with a script that makes the initial
		// RAM disk of a diskless one. The package linux of the base is a stub.
		name: "linux-cloud",
		debs: []string{"linux-image-cloud-amd64", "kmod", "busybox-static"},
		recipe: recipe{
			// Since Linux 7 a kernel is four packages of Debian's, and its postinst copies it to boot.
			debs: []string{"linux-image-[0-9]*", "linux-image-cloud-amd64", "linux-binary-[0-9]*",
				"linux-modules-[0-9]*", "linux-base-[0-9]*"},
			without: []string{"boot/System.map-*", "boot/config-*", "boot/initrd.img-*", "vmlinuz*", "initrd.img*",
				"usr/lib/modules/*/System.map", "usr/lib/modules/*/config", "usr/lib/modules/*/vmlinuz",
				"etc/initramfs-tools", "var/lib/initramfs-tools", "usr/lib/modules/*/modules.alias*",
				"usr/lib/modules/*/modules.dep*", "usr/lib/modules/*/modules.symbols*", "usr/lib/modules/*/modules.softdep",
				"usr/lib/modules/*/modules.weakdep", "usr/lib/modules/*/modules.devname", "usr/lib/modules/*/modules.builtin.*bin"},
			depends:     []string{"bash", "busybox-static", "coreutils", "findutils", "kmod", "libarchive", "zstd"},
			independent: true,
		},
	},
}
