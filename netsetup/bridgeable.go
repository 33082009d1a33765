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
	daemon, err := manager(a.Name)
	if err != nil {
		return fmt.Errorf("cannot tell whether a daemon manages %s and would take the addresses back: %w", a.Name, err)
	}
	if daemon != "" {
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

// manager names the daemon that keeps a link's addresses; "" is none.
func manager(link string) (string, error) {
	for _, daemon := range []struct {
		name    string
		here    func() (bool, error)
		manages func(*dbus.Conn, string) (bool, error)
	}{
		{"systemd-networkd", networkdHere, managedByNetworkd},
		{"NetworkManager", func() (bool, error) { return busNamespace(networkManager) }, managedByNetworkManager},
	} {
		yes, err := daemon.here()
		if err == nil && yes {
			yes, err = answered(daemon.manages, link)
		}
		if err != nil || yes {
			return daemon.name, err
		}
	}
	return "", nil
}

func answered(manages func(*dbus.Conn, string) (bool, error), link string) (bool, error) {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	return manages(conn, link)
}

const networkManager = "org.freedesktop.NetworkManager"

func managedByNetworkManager(conn *dbus.Conn, link string) (managed bool, err error) {
	var device dbus.ObjectPath
	err = conn.Object(networkManager, "/org/freedesktop/NetworkManager").Call(networkManager+".GetDeviceByIpIface", 0, link).Store(&device)
	if isBusError(err, networkManager+".UnknownDevice") {
		return false, nil
	}
	if err == nil {
		err = conn.Object(networkManager, device).StoreProperty(networkManager+".Device.Managed", &managed)
	}
	return managed, err
}
