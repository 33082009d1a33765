package netsetup

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Zone is a network whose bridge systemd-nspawn makes, with the first machine
// that is started with --network-zone=NAME, and that systemd-networkd sets up by
// a file written here. Use it on hosts that networkd runs; Network is for all.
type Zone struct {
	// Name is the zone's: its bridge is vz-NAME. At most 12 bytes.
	Name string

	// Prefixes are the host's addresses on the bridge: see Network.
	Prefixes []netip.Prefix

	// Masquerade lets the machines reach whatever the host reaches.
	Masquerade bool

	// Persistent puts the file into /etc/systemd/network instead of
	// /run/systemd/network, so that it outlives the next boot.
	Persistent bool

	// OnlyZones writes another file that keeps networkd's hands off every
	// interface that is not nspawn's, for hosts that something else manages.
	OnlyZones bool

	// Keep marks a zone that is meant to outlive the program: see Network.
	Keep bool
}

// Bridge returns the name of the zone's bridge, which is also what Remove wants.
func (z Zone) Bridge() string { return "vz-" + z.Name }

// Validate reports everything that is wrong with z, joined.
func (z Zone) Validate() error {
	n := Network{Bridge: z.Bridge(), Prefixes: z.Prefixes, Masquerade: z.Masquerade}
	err := n.Validate()
	if err == nil && z.Name == "" {
		err = &Error{Op: "validate", Network: z.Bridge(), Err: invalid("the zone has no name")}
	}
	return err
}

// zoneDirs are where a zone's files may be.
var zoneDirs = []string{"/run/systemd/network", "/etc/systemd/network"}

const unmanagedFile = "05-rig-unmanaged.network"

// zoneFile is the name of the file for a bridge. It sorts before systemd's own
// 80-container-vz.network.
func zoneFile(bridge string) string { return "10-rig-" + bridge + ".network" }

// files returns what networkd is to read.
func (z Zone) files() []file {
	dir := zoneDirs[0]
	if z.Persistent {
		dir = zoneDirs[1]
	}
	list := []file{{Path: filepath.Join(dir, zoneFile(z.Bridge())), Content: z.network()}}
	if z.OnlyZones {
		list = append(list, file{Path: filepath.Join(dir, unmanagedFile), Content: othersUnmanaged})
	}
	return list
}

// network renders the .network file.
func (z Zone) network() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by rig for the zone %s; removed with it.\n", z.Name)
	fmt.Fprintf(&b, "[Match]\nName=%s\nType=bridge\n\n[Network]\n", z.Bridge())
	v4, v6 := false, false
	for _, p := range z.Prefixes {
		fmt.Fprintf(&b, "Address=%v\n", p)
		v4, v6 = v4 || p.Addr().Is4(), v6 || p.Addr().Is6()
	}
	if z.Masquerade {
		which := "ipv4"
		switch {
		case v4 && v6:
			which = "both"
		case v6:
			which = "ipv6"
		}
		fmt.Fprintf(&b, "IPMasquerade=%s\n", which)
	}
	if !v6 {
		b.WriteString("LinkLocalAddressing=no\n")
	}
	b.WriteString("DHCPServer=no\nIPv6AcceptRA=no\nLLDP=yes\nEmitLLDP=customer-bridge\nConfigureWithoutCarrier=yes\n")
	return b.String()
}

// othersUnmanaged leaves everything alone but what nspawn makes.
const othersUnmanaged = `# Made by rig; removed with the zone.
[Match]
Name=!vz-* vb-* ve-* host*

[Link]
Unmanaged=yes
`

// ApplyZone writes the zone's file, has networkd read it, and records it for
// Remove, Verify and Sweep as Apply does a Network. If another file would keep
// networkd from reading it, it fails with a *ShadowError before anything is
// touched, and with a *ConflictError (ErrExists) where Apply has made a bridge of that
// name. It needs a networkd on the system bus (ErrNotSupported). Where Docker,
// a policy of iptables or firewalld would drop what the zone's machines send, it
// adds what lets them pass, as Apply does.
//
// Remove is for when the zone's machines have stopped and the bridge has gone
// with them: while there is one, networkd sets it up anew by systemd's own
// 80-container-vz.network, which masquerades too, with addresses of its choice.
func (h *Host) ApplyZone(ctx context.Context, z Zone) error {
	if err := z.Validate(); err != nil {
		return err
	}
	return h.change(ctx, "apply", z.Bridge(), func() error {
		err := h.applyPlan(ctx, z.Bridge(), z.Keep, func(j *journal) (plan, error) { return h.planZone(z, j) })
		if err == nil {
			err = h.keepInFirewall(h.held[z.Bridge()].objects())
		}
		return err
	})
}

// PlanZone returns what ApplyZone would change.
func (h *Host) PlanZone(ctx context.Context, z Zone) (Changes, error) {
	if err := z.Validate(); err != nil {
		return nil, err
	}
	return h.planned(ctx, z.Bridge(), func(j *journal) (plan, error) { return h.planZone(z, j) })
}

func (h *Host) planZone(z Zone, j *journal) (plan, error) {
	var p plan
	here, err := networkdHere()
	if err == nil && !here {
		err = fmt.Errorf("%w: no systemd-networkd runs in this network namespace", ErrNotSupported)
	}
	if err != nil {
		return p, err
	}
	v, err := h.kernel.look()
	if err != nil {
		return p, err
	}
	n := Network{Bridge: z.Bridge(), Prefixes: z.Prefixes}
	if err := n.conflicts(v); err != nil {
		return p, err
	}
	if len(v.ours(n.Bridge)) > 0 {
		return p, &ConflictError{Want: "zone " + z.Name, With: "a bridge that Apply has made; Remove it first", Err: ErrExists}
	}
	others, err := h.others(z.Bridge())
	if err != nil {
		return p, err
	}
	wanted, err := z.wanted(v)
	if err != nil {
		return p, err
	}
	s, err := shadow(os.DirFS("/"), z.Bridge(), strings.TrimPrefix(z.files()[0].Path, "/"))
	if err != nil {
		return p, err
	}
	if s != nil {
		return p, s
	}
	for _, o := range wanted {
		if err := p.want(v, j, others, o); err != nil {
			return p, err
		}
	}
	p.drop(j, wanted)
	// networkd reads the files again once they are written.
	if len(p.changes) > 0 {
		p.changes = append(p.changes, Change{Add, networkd{Written: true}})
	}
	return p, nil
}

// wanted lists what the zone consists of but for the bridge, which is nspawn's,
// and what networkd does to it. Forwarding is ours: a newer networkd switches it
// on for the bridge alone, and answers come in by the uplink.
func (z Zone) wanted(v *view) ([]Object, error) {
	list, err := z.admitted(v)
	if err != nil {
		return nil, err
	}
	list = append(list, networkd{})
	if z.Masquerade {
		for _, f := range (Network{Prefixes: z.Prefixes}).families() {
			list = append(list, forwarding{Family: f})
		}
	}
	for _, f := range z.files() {
		list = append(list, f)
	}
	return append(list, networkd{Written: true}), nil
}

// admitted lets the zone's packets past other programs that drop what is forwarded,
// Docker and firewalld among them, which networkd does nothing about. Where there
// are none it is nothing, and needs no iptables.
func (z Zone) admitted(v *view) ([]Object, error) {
	n := Network{Bridge: z.Bridge(), Prefixes: z.Prefixes}
	list, err := n.inFirewall(v)
	if err != nil || !z.Masquerade {
		return list, err
	}
	for _, f := range n.families() {
		forward, err := v.chain(chainID{f, "filter", "FORWARD"})
		if errors.Is(err, exec.ErrNotFound) {
			continue // and so nobody's rules
		}
		if err != nil {
			return nil, err
		}
		docker, err := v.hasDocker(f)
		if err != nil {
			return nil, err
		}
		if !docker && forward.policy != "DROP" {
			continue
		}
		r := newRules(n.Bridge, f)
		r.add("filter", "FWD", "between machines", "ACCEPT", "-i", n.Bridge, "-o", n.Bridge)
		r.add("filter", "FWD", "answers in", "ACCEPT", "-o", n.Bridge, "-m", "conntrack", "--ctstate", answers)
		for _, p := range n.subnets(f) {
			r.add("filter", "FWD", "out", "ACCEPT", "-s", p.String(), "-i", n.Bridge)
		}
		list = append(list, r.objects(docker)...)
	}
	return list, nil
}
