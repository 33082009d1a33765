package syspkg

// Lab lists what the example programs need to boot a lab on this host.
func Lab() []Need {
	return []Need{
		{"systemd-nspawn", "systemd-container", "systemd"},
		{"iptables", "iptables", "iptables"},
		{"mkfs.btrfs", "btrfs-progs", "btrfs-progs"},
	}
}

// Bootstrap lists what making an Arch root with the host's pacman needs.
func Bootstrap() []Need {
	return []Need{
		{"pacman", "pacman-package-manager", "pacman"},
		{"gpg", "gnupg", "gnupg"},
	}
}

// Mirror lists what building the hermetic Arch mirror needs.
func Mirror() []Need {
	return []Need{
		{"mmdebstrap", "mmdebstrap", ""},
		{"/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring", ""},
	}
}

// VM lists what a virtual machine that boots over the network needs: an emulator, and
// the boot ROM of its network card.
func VM() []Need {
	return []Need{
		{"qemu-system-x86_64", "qemu-system-x86", "qemu-system-x86"},
		{"/usr/lib/ipxe/qemu/efi-virtio.rom:/usr/share/qemu/efi-virtio.rom", "ipxe-qemu", ""},
	}
}

// Tests lists what the tests need beside all of the above: a C compiler for the
// race detector, and the programs that results are compared with.
func Tests() []Need {
	return []Need{
		{"gcc", "gcc", "gcc"},
		{"/usr/include/linux/btrfs.h", "linux-libc-dev", "linux-api-headers"},
		{"/usr/include/stdio.h", "libc6-dev", "glibc"},
		{"ip", "iproute2", "iproute2"},
		{"ping", "iputils-ping", "iputils"},
		{"ps", "procps", "procps-ng"},
		{"nft", "nftables", "nftables"},
		{"dbus-daemon", "dbus-daemon", "dbus"},
		{"pacstrap", "arch-install-scripts", "arch-install-scripts"},
		{"makepkg", "makepkg", "pacman"},
		{"bsdtar", "libarchive-tools", "libarchive"},
		{"zstd", "zstd", "zstd"},
		{"strace", "strace", "strace"},
		{"openssl", "openssl", "openssl"},
		{"curl", "curl", "curl"},
		{"tmux", "tmux", "tmux"},
		{"mkfs.vfat", "dosfstools", "dosfstools"},
		{"dnsmasq", "dnsmasq-base", "dnsmasq"},
		{"udhcpc", "udhcpc", "busybox"},
		{"qemu-system-x86_64", "qemu-system-x86", "qemu-system-x86"},
		{"/usr/lib/ipxe/qemu/pxe-e1000.rom:/usr/share/qemu/pxe-e1000.rom", "ipxe-qemu", "qemu-system-x86"},
	}
}

// Bench lists the programs that the benchmarks compare with.
func Bench() []Need {
	return []Need{
		{"lxc-start", "lxc", "lxc"},
		{"podman", "podman", "podman"},
		{"crun", "crun", "crun"},
		{"rsync", "rsync", "rsync"},
	}
}

// Fresh lists what internal/fresh needs to clone the repository into a bare root.
func Fresh() []Need {
	return []Need{
		{"git", "git", "git"},
		{"slirp4netns", "slirp4netns", "slirp4netns"},
		{"pgrep", "procps", "procps-ng"},
	}
}
