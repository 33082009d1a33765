package netsetup

import (
	"crypto/sha256"
	"net"
	"slices"
)

// MAC returns the address that a machine's interface in a network should have:
// locally administered, and the same every time, so that the machine keeps its
// DHCP lease. For the interfaces that nspawn makes by itself it goes into
// $SYSTEMD_NSPAWN_NETWORK_MAC.
func MAC(network, machine string) net.HardwareAddr { return macOf("machine", network, machine) }

// macOf derives a locally administered unicast address from words.
func macOf(words ...string) net.HardwareAddr {
	h := sha256.New()
	h.Write([]byte("rig netsetup mac"))
	for _, w := range words {
		h.Write([]byte{0})
		h.Write([]byte(w))
	}
	mac := net.HardwareAddr(h.Sum(nil)[:6])
	mac[0] = mac[0]&^1 | 2
	return mac
}

// checkMAC refuses what no interface can have.
func checkMAC(mac net.HardwareAddr) error {
	switch {
	case len(mac) == 0:
		return nil
	case len(mac) != 6:
		return invalid("MAC %v has %d bytes, not 6", mac, len(mac))
	case mac[0]&1 != 0:
		return invalid("MAC %v is a multicast address", mac)
	case slices.Equal(mac, make(net.HardwareAddr, 6)):
		return invalid("MAC %v is zero", mac)
	}
	return nil
}
