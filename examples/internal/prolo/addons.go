package prolo

// AddOns are the packages that the stages of all machines install beyond what the
// embedded mirror has anyway. One list makes one mirror.
func AddOns() []string {
	return []string{
		"bind", "conntrack-tools", "dhcp", "ipset", "iptables", "ipxe", "nbd", "nginx",
		"postgresql", "python", "python-psycopg2", "rsync", "sqlite", "tftp-hpa",
	}
}
