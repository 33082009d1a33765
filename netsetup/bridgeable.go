package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
)

// bridgeable refuses uplinks that cannot be on a bridge, or whose addresses a
// daemon would put back at once.
func (v *view) bridgeable(l netlink.Link) error {
	a := l.Attrs()
	cannot := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s cannot be bridged: %s", ErrNotSupported, a.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case a.EncapType != "ether":
		return cannot("it is no Ethernet but %s", a.EncapType)
	case l.Type() == "bridge":
		return cannot("it is a bridge itself")
	case a.MasterIndex != 0:
		master := "another interface"
		if m := v.byIndex(a.MasterIndex); m != nil {
			master = m.Attrs().Name
		}
		return cannot("it belongs to %s", master)
	}
	text, err := os.ReadFile("/proc/thread-self/net/wireless")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if isWireless(string(text), a.Name) {
		return cannot("it is wireless, and an access point takes frames from one MAC only; masquerade instead")
	}
	if daemon := manager(a.Name); daemon != "" {
		return cannot("%s manages it and would take the addresses back; have it make the bridge, or tell it to leave %s alone", daemon, a.Name)
	}
	return nil
}

// isWireless looks for a link in /proc/net/wireless: see wireless(7). Other
// wireless links the kernel refuses by itself.
func isWireless(text, name string) bool {
	for line := range strings.Lines(text) {
		if link, _, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(link) == name {
			return true
		}
	}
	return false
}

// manager names the daemon that keeps a link's addresses, if it can be found.
func manager(link string) string {
	if !networkdHere() && !busNamespace("org.freedesktop.NetworkManager") {
		return ""
	}
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return ""
	}
	defer conn.Close()
	if managedByNetworkd(conn, link) {
		return "systemd-networkd"
	}
	if managedByNetworkManager(conn, link) {
		return "NetworkManager"
	}
	return ""
}

func managedByNetworkManager(conn *dbus.Conn, link string) bool {
	const nm = "org.freedesktop.NetworkManager"
	var device dbus.ObjectPath
	if conn.Object(nm, "/org/freedesktop/NetworkManager").Call(nm+".GetDeviceByIpIface", 0, link).Store(&device) != nil {
		return false
	}
	v, err := conn.Object(nm, device).GetProperty(nm + ".Device.Managed")
	managed, _ := v.Value().(bool)
	return err == nil && managed
}
