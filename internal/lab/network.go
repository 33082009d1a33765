package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/prologin/rig/netsetup"
)

func (c *Config) network(keep bool) netsetup.Network {
	return netsetup.Network{Bridge: c.Bridge(), Prefixes: []netip.Prefix{c.Prefix}, Masquerade: !c.Isolated, Keep: keep}
}

func (l *Lab) zone(keep bool) netsetup.Zone {
	return netsetup.Zone{Name: l.Zone, Prefixes: []netip.Prefix{l.Prefix}, Masquerade: true, Keep: keep, Persistent: l.Persistent}
}

func (l *Lab) openNet() (err error) {
	l.net, err = netsetup.Open(netsetup.Options{StateDir: l.runDir("netsetup"), Netns: l.Netns, Logger: l.Logger})
	if err == nil {
		l.onClose(func(context.Context) error { return l.net.Close() })
	}
	return err
}

// openNetwork makes the bridge, or has networkd make it where that runs.
func (l *Lab) openNetwork(ctx context.Context) error {
	if err := l.openNet(); err != nil {
		return err
	}
	// Not swept before: a machine that outlived its program is still wired to it.
	err := l.applyNetwork(ctx)
	if errors.Is(err, netsetup.ErrExists) {
		return fmt.Errorf("%w; if it is the lab's own, which -keep has left, a run without -keep and -network removes it", err)
	}
	if err != nil {
		return err
	}
	l.onClose(func(ctx context.Context) error {
		if l.Keep {
			return nil
		}
		return l.net.Remove(ctx, l.Bridge())
	})
	return nil
}

// networkdRuns reports whether networkd has run since the host was booted.
func networkdRuns() bool {
	_, err := os.Stat("/run/systemd/netif/state")
	return err == nil
}

func (l *Lab) applyNetwork(ctx context.Context) error {
	if l.Network == "zone" || l.Network == "" && networkdRuns() {
		err := l.net.ApplyZone(ctx, l.zone(l.Keep))
		if err == nil {
			l.say("network:  zone %s of systemd-networkd, bridge %s, %s; -network bridge keeps networkd off it", l.Zone, l.Bridge(), l.Prefix)
			l.zoned = true
			return nil
		}
		// A bridge that is there already may be ours, which Apply knows.
		if l.Network == "zone" || !errors.Is(err, netsetup.ErrNotSupported) && !errors.Is(err, netsetup.ErrExists) {
			return err
		}
	}
	if l.Isolated {
		return l.net.Apply(ctx, l.network(l.Keep))
	}
	l.say("network:  bridge %s, %s, masquerading by iptables; -network zone leaves both to networkd", l.Bridge(), l.Prefix)
	return l.net.Apply(ctx, l.network(l.Keep))
}

// wirePatience is how long networkd may take to configure the zone's bridge.
const wirePatience = 30 * time.Second

// wired is called when a machine has been started: a zone's bridge comes with its
// first machine, and the mirror can only then be served on it.
func (l *Lab) wired(ctx context.Context) error {
	if l.zoned {
		ctx, cancel := context.WithTimeout(ctx, wirePatience)
		defer cancel()
		if err := l.net.WaitZone(ctx, l.zone(l.Keep)); err != nil {
			return err
		}
	}
	return l.serve(ctx)
}
