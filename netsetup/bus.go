package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// networkdHere reports whether a networkd manages the links of the calling
// thread's namespace.
func networkdHere() (bool, error) {
	if _, err := os.Stat("/run/systemd/netif"); errors.Is(err, fs.ErrNotExist) {
		return false, nil // it has not run since the host was booted
	} else if err != nil {
		return false, err
	}
	return busNamespace("org.freedesktop.network1")
}

// busNamespace reports whether the owner of a name on the system bus is in the
// calling thread's namespace. On a host without a bus nobody is.
func busNamespace(name string) (bool, error) {
	if _, err := os.Stat("/run/dbus/system_bus_socket"); errors.Is(err, fs.ErrNotExist) && os.Getenv("DBUS_SYSTEM_BUS_ADDRESS") == "" {
		return false, nil
	}
	conn, err := dbus.ConnectSystemBus()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return false, nil // its daemon has ended
	}
	if err != nil {
		return false, fmt.Errorf("cannot ask the system bus who is %s: %w", name, err)
	}
	defer conn.Close()
	var pid uint32
	err = conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, name).Store(&pid)
	if isBusError(err, noSuchName...) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot ask the system bus who is %s: %w", name, err)
	}
	theirs, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it has just ended
	}
	if err != nil {
		return false, err
	}
	ours, err := os.Stat("/proc/thread-self/ns/net")
	return err == nil && os.SameFile(theirs, ours), err
}

// noSuchName are the errors of a bus on which a name has no owner.
var noSuchName = []string{"org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner"}

func isBusError(err error, names ...string) bool {
	var e dbus.Error
	return errors.As(err, &e) && slices.Contains(names, e.Name)
}
