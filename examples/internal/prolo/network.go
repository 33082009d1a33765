package prolo

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
)

func bridgePrefixes() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix(HostAddress + "/24")}
}

func network(keep bool) netsetup.Network {
	return netsetup.Network{Bridge: Bridge, Prefixes: bridgePrefixes(), Masquerade: true, Keep: keep}
}

func zone(keep bool) netsetup.Zone {
	return netsetup.Zone{Name: Zone, Prefixes: bridgePrefixes(), Masquerade: true, Keep: keep}
}

// openNetwork makes the bridge, or has networkd make it where that runs.
func (l *Lab) openNetwork(ctx context.Context) error {
	host, err := netsetup.Open(netsetup.Options{Logger: l.log})
	if err != nil {
		return err
	}
	l.net = host
	l.onClose(func(context.Context) error { return host.Close() })
	// Not swept before: a machine that outlived its program is still wired to it.
	if err := l.applyNetwork(ctx); err != nil {
		return err
	}
	if !l.Keep {
		l.onClose(func(ctx context.Context) error { return host.Remove(ctx, Bridge) })
	}
	return nil
}

// networkdRuns reports whether networkd has run since the host was booted.
func networkdRuns() bool {
	_, err := os.Stat("/run/systemd/netif/state")
	return err == nil
}

func (l *Lab) applyNetwork(ctx context.Context) error {
	if l.Network == "bridge" && networkdRuns() {
		return errors.New("systemd-networkd runs here and configures every bridge named vz-* itself: use -network zone")
	}
	if l.Network == "zone" || l.Network == "" && networkdRuns() {
		err := l.net.ApplyZone(ctx, zone(l.Keep))
		if err == nil {
			l.say("network:  zone %s of systemd-networkd, bridge %s, %s/24; -network bridge is for hosts without networkd", Zone, Bridge, HostAddress)
			l.zoned = true
			return nil
		}
		if l.Network == "zone" || !errors.Is(err, netsetup.ErrNotSupported) {
			return err
		}
	}
	l.say("network:  bridge %s, %s/24, masquerading by iptables; -network zone leaves both to networkd", Bridge, HostAddress)
	return l.net.Apply(ctx, network(l.Keep))
}

// wiring is how a machine joins the network.
func (l *Lab) wiring() nspawn.Network {
	if l.zoned {
		return nspawn.Network{Zone: Zone}
	}
	return nspawn.Network{Bridge: Bridge}
}

// wirePatience is how long networkd may take to configure the zone's bridge.
const wirePatience = 30 * time.Second

// wired is called when a machine has been started: a zone's bridge comes with its
// first machine, and the mirror can only then be served on it.
func (l *Lab) wired(ctx context.Context) error {
	if l.zoned {
		ctx, cancel := context.WithTimeout(ctx, wirePatience)
		defer cancel()
		if err := l.net.WaitZone(ctx, zone(l.Keep)); err != nil {
			return err
		}
	}
	if l.mirror == nil || l.served {
		return nil
	}
	_, err := l.mirror.Listen(ctx, HostAddress+":"+mirrorPort, "")
	l.served = err == nil
	return err
}
