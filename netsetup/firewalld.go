package netsetup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// firewallZone is the bridge in firewalld's zone "trusted", until firewalld is
// reloaded or the zone is left: its own tables drop what is forwarded for any
// other, whatever iptables says. A Host that lives adds it again after a reload.
type firewallZone struct {
	Bridge string `json:"bridge"`
}

const (
	firewalld     = "org.fedoraproject.FirewallD1"
	firewalldPath = "/org/fedoraproject/FirewallD1"
	trustedZone   = "trusted"
)

// String returns "BRIDGE in firewalld's zone trusted".
func (f firewallZone) String() string {
	return f.Bridge + " in firewalld's zone " + trustedZone
}

func (f firewallZone) lines(unmake bool) []string {
	verb := "add"
	if unmake {
		verb = "remove"
	}
	return []string{fmt.Sprintf("firewall-cmd --zone=%s --%s-interface=%s", trustedZone, verb, f.Bridge)}
}

func (f firewallZone) present(*view) (bool, error) {
	zone, err := zoneOf(f.Bridge)
	return zone == trustedZone, err
}

// create leaves alone a zone that the administrator has chosen for the bridge.
func (f firewallZone) create(*kernel) error {
	zone, err := zoneOf(f.Bridge)
	if err != nil || zone == trustedZone {
		return err
	}
	if zone != "" {
		return &ConflictError{Want: f.String(), With: "firewalld's zone " + zone, Err: ErrExists}
	}
	return callFirewalld("addInterface", trustedZone, f.Bridge)
}

// destroy is content with a firewalld that has gone, or forgotten.
func (f firewallZone) destroy(*kernel) error {
	zone, err := zoneOf(f.Bridge)
	if errors.Is(err, ErrNotSupported) || err == nil && zone != trustedZone {
		return nil
	}
	if err != nil {
		return err
	}
	return callFirewalld("removeInterface", trustedZone, f.Bridge)
}

// zoneOf returns the zone that an interface is in; "" is none.
func zoneOf(link string) (zone string, err error) {
	err = withFirewalld(func(o dbus.BusObject) error {
		return o.Call(firewalld+".zone.getZoneOfInterface", 0, link).Store(&zone)
	})
	return zone, err
}

func callFirewalld(method, zone, link string) error {
	return withFirewalld(func(o dbus.BusObject) error {
		err := o.Call(firewalld+".zone."+method, 0, zone, link).Err
		var e dbus.Error
		if errors.As(err, &e) && len(e.Body) > 0 {
			// Its errors are all of one name, and begin with a code in capitals.
			text, _ := e.Body[0].(string)
			if code, _, _ := strings.Cut(text, ":"); slices.Contains([]string{"ZONE_ALREADY_SET", "UNKNOWN_INTERFACE", "NOT_ENABLED"}, code) {
				return nil
			}
		}
		return err
	})
}

func withFirewalld(f func(dbus.BusObject) error) error {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return fmt.Errorf("%w: no system bus to reach firewalld by: %w", ErrNotSupported, err)
	}
	defer conn.Close()
	// Asking must not start one.
	var runs bool
	if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, firewalld).Store(&runs); err != nil {
		return err
	}
	if !runs {
		return fmt.Errorf("%w: firewalld does not run", ErrNotSupported)
	}
	return f(conn.Object(firewalld, firewalldPath))
}

// inFirewall returns the zone for n, where firewalld guards the calling thread's
// namespace. A nil view is that of a host without.
func (n Network) inFirewall(v *view) ([]Object, error) {
	if v == nil || n.Bridged != nil {
		return nil, nil
	}
	if here, err := busNamespace(firewalld); err != nil || !here {
		return nil, err
	}
	return []Object{firewallZone{n.Bridge}}, nil
}

// firewallWatch adds bridges to their zone again when firewalld has been reloaded,
// which makes it forget, or started anew. It ends with stop.
type firewallWatch struct {
	conn *dbus.Conn
	done chan struct{}
}

// watchFirewall calls again after each reload, from a goroutine of its own.
func watchFirewall(again func()) (*firewallWatch, error) {
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		return nil, err
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	err = errors.Join(
		conn.AddMatchSignal(dbus.WithMatchInterface(firewalld), dbus.WithMatchMember("Reloaded")),
		conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, firewalld)))
	if err != nil {
		conn.Close()
		return nil, err
	}
	w := &firewallWatch{conn: conn, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for range signals { // closed with the connection
			again()
		}
	}()
	return w, nil
}

func (w *firewallWatch) stop() {
	w.conn.Close()
	<-w.done
}

// keepInFirewall has the bridges of this Host kept in firewalld's zone.
func (h *Host) keepInFirewall(objects []Object) error {
	in := slices.ContainsFunc(objects, func(o Object) bool { _, ok := o.(firewallZone); return ok })
	if !in || h.firewall != nil {
		return nil
	}
	w, err := watchFirewall(h.backInFirewall)
	h.firewall = w
	return err
}

// backInFirewall does what a reload has undone.
func (h *Host) backInFirewall() {
	err := h.do(context.Background(), "firewalld", "", func() error {
		var errs []error
		for _, j := range h.held {
			for _, o := range j.objects() {
				if f, ok := o.(firewallZone); ok {
					errs = append(errs, f.create(h.kernel))
				}
			}
		}
		return errors.Join(errs...)
	})
	if errors.Is(err, ErrNotSupported) {
		err = nil // it has stopped
	}
	if err != nil {
		h.log.Error("cannot put the bridge back into firewalld's zone", "error", err)
		return
	}
	h.log.Info("firewalld was reloaded")
}
