package syspkg

// Lab lists what the example programs need to boot a lab on this host.
func Lab() []Need {
	return []Need{
		{"systemd-nspawn", "systemd-container", "systemd"},
		{"iptables", "iptables", "iptables"},
		{"mkfs.btrfs", "btrfs-progs", "btrfs-progs"},
	}
}

// Bootstrap lists what making an Arch root by pacstrap needs.
func Bootstrap() []Need {
	return []Need{
		{"pacman", "pacman-package-manager", "pacman"},
		{"pacstrap", "arch-install-scripts", "arch-install-scripts"},
	}
}

// Mirror lists what building the hermetic Arch mirror needs.
func Mirror() []Need {
	return []Need{
		{"mmdebstrap", "mmdebstrap", ""},
		{"/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring", ""},
	}
}

// Tests lists what the tests need beside all of the above.
func Tests() []Need {
	return []Need{
		{"gcc", "gcc", "gcc"}, // the race detector needs cgo
		{"/usr/include/linux/btrfs.h", "linux-libc-dev", "linux-api-headers"},
		{"/usr/include/stdio.h", "libc6-dev", "glibc"},
		{"ip", "iproute2", "iproute2"},
	}
}

// Bench lists the programs that the benchmarks compare with.
func Bench() []Need {
	return []Need{
		{"lxc-start", "lxc", "lxc"},
		{"rsync", "rsync", "rsync"},
		{"zstd", "zstd", "zstd"},
		{"repo-add", "pacman-package-manager", "pacman"},
	}
}
