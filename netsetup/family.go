package netsetup

import "net/netip"

// family is a family of Internet addresses.
type family int

// The two families.
const (
	ipv4 family = 4
	ipv6 family = 6
)

// String returns "IPv4" or "IPv6".
func (f family) String() string {
	if f == ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

// command is the program of the family's rules.
func (f family) command() string {
	if f == ipv6 {
		return "ip6tables"
	}
	return "iptables"
}

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}
