package nspawn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Names on the bus.
const (
	systemdName  = "org.freedesktop.systemd1"
	systemdPath  = "/org/freedesktop/systemd1"
	managerIface = systemdName + ".Manager"
	unitIface    = systemdName + ".Unit"
	serviceIface = systemdName + ".Service"
	machineName  = "org.freedesktop.machine1"
	machinePath  = "/org/freedesktop/machine1"
	propsIface   = "org.freedesktop.DBus.Properties"
)

// bus is a connection to a system bus with a systemd on it: the host's or a
// machine's.
type bus struct{ conn *dbus.Conn }

// openBus connects to the host's.
func openBus(ctx context.Context) (*bus, error) {
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(context.WithoutCancel(ctx)))
	if err != nil {
		return nil, err
	}
	return &bus{conn}, nil
}

func (b *bus) Close() error { return b.conn.Close() }

// hasMachined says whether machined runs or can be activated.
func (b *bus) hasMachined(ctx context.Context) (bool, error) {
	var running, activatable []string
	object := b.conn.BusObject()
	if err := object.CallWithContext(ctx, "org.freedesktop.DBus.ListNames", 0).Store(&running); err != nil {
		return false, err
	}
	if err := object.CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&activatable); err != nil {
		return false, err
	}
	return slices.Contains(running, machineName) || slices.Contains(activatable, machineName), nil
}

// manager calls a method of the service manager.
func (b *bus) manager(ctx context.Context, method string, args ...any) *dbus.Call {
	return b.conn.Object(systemdName, systemdPath).CallWithContext(ctx, managerIface+"."+method, 0, args...)
}

// unitPath is the object of a unit.
func unitPath(name string) dbus.ObjectPath {
	var b strings.Builder
	b.WriteString(systemdPath + "/unit/")
	for i := range len(name) {
		// As sd_bus_path_encode(3) writes a label.
		if c := name[i]; isAlphanumeric(c) && (i > 0 || c > '9') {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return dbus.ObjectPath(b.String())
}

// properties reads some of an interface's properties, one after the other. To tell all
// of a service keeps the service manager busy for milliseconds.
func (b *bus) properties(ctx context.Context, path dbus.ObjectPath, iface string, names ...string) (map[string]dbus.Variant, error) {
	// All are asked for before the first answer is waited for.
	object := b.conn.Object(systemdName, path)
	calls := make([]*dbus.Call, len(names))
	for i, name := range names {
		calls[i] = object.GoWithContext(ctx, propsIface+".Get", 0, nil, iface, name)
	}
	set := make(map[string]dbus.Variant, len(names))
	for i, name := range names {
		var value dbus.Variant
		if err := (<-calls[i].Done).Store(&value); err != nil {
			return nil, err
		}
		set[name] = value
	}
	return set, nil
}

// allProperties reads an interface's properties as they are at one moment.
func (b *bus) allProperties(ctx context.Context, path dbus.ObjectPath, iface string) (map[string]dbus.Variant, error) {
	var all map[string]dbus.Variant
	err := b.conn.Object(systemdName, path).CallWithContext(ctx, propsIface+".GetAll", 0, iface).Store(&all)
	return all, err
}

// wantSignals makes the service manager send its signals to this connection.
func (b *bus) wantSignals(ctx context.Context) error {
	err := b.manager(ctx, "Subscribe").Err
	if dbusErrorName(err) == systemdName+".AlreadySubscribed" {
		return nil
	}
	return err
}

// subscribe makes the changes of one unit arrive on a channel. Nothing but that
// something changed is told: whoever listens looks at the present state. One
// change that is not taken yet stands for all that follow.
func (b *bus) subscribe(ctx context.Context, path dbus.ObjectPath) (<-chan struct{}, error) {
	if err := b.wantSignals(ctx); err != nil {
		return nil, err
	}
	matches := [][]dbus.MatchOption{
		{dbus.WithMatchObjectPath(path), dbus.WithMatchInterface(propsIface), dbus.WithMatchMember("PropertiesChanged")},
		{dbus.WithMatchObjectPath(systemdPath), dbus.WithMatchInterface(managerIface), dbus.WithMatchMember("JobRemoved")},
		{dbus.WithMatchObjectPath(systemdPath), dbus.WithMatchInterface(managerIface), dbus.WithMatchMember("UnitRemoved")},
		{dbus.WithMatchObjectPath(machinePath), dbus.WithMatchInterface(machineName + ".Manager")},
	}
	for _, match := range matches {
		if err := b.conn.AddMatchSignalContext(ctx, match...); err != nil {
			return nil, err
		}
	}
	signals := make(chan *dbus.Signal, 64)
	changed := make(chan struct{}, 1)
	b.conn.Signal(signals)
	go func() { // ends with the connection, which closes its channels
		defer close(changed)
		for range signals {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}()
	return changed, nil
}

// dbusErrorName is the name of an error that came by the bus, or "".
func dbusErrorName(err error) string {
	var e dbus.Error
	if errors.As(err, &e) {
		return e.Name
	}
	return ""
}

// property reads one value of a set, or the zero value of its type.
func property[T any](set map[string]dbus.Variant, name string) (value T) {
	if v, ok := set[name]; ok {
		value, _ = v.Value().(T)
	}
	return value
}
