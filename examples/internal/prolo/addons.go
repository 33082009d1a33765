package prolo

// AddOns are the packages that the stages of all machines install beyond what the
// embedded mirror has anyway. One list makes one mirror.
func AddOns() []string {
	return []string{
		"arch-install-scripts", "bind", "conntrack-tools", "dhcp", "e2fsprogs", "fuse2fs",
		"ipset", "iptables", "ipxe", "libnbd", "libnfs", "linux-cloud", "nbd", "nfs-ganesha",
		"nfs-utils", "nginx", "pamtester", "postgresql", "python", "python-psycopg2", "rsync",
		"sqlite", "tftp-hpa",
	}
}
