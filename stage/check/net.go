package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/prologin/rig/stage"
)

// PortOpen holds when a TCP connection can be made.
type PortOpen struct {
	// Address is "host:port".
	Address string

	// Inside looks from inside the machine instead of from the host.
	Inside bool
}

// String states the condition.
func (p PortOpen) String() string { return p.Address + " accepts connections" + where(p.Inside) }

// Validate returns an error that matches [stage.ErrInvalid] if the address is wrong.
func (p PortOpen) Validate() error {
	if _, port, err := net.SplitHostPort(p.Address); err != nil || port == "" {
		return invalid("address %q is not HOST:PORT", p.Address)
	}
	return nil
}

// Manual returns a connection by bash.
func (p PortOpen) Manual(string) []stage.Line {
	host, port, _ := net.SplitHostPort(p.Address)
	return typed(p.Inside, "bash", "-c", "</dev/tcp/"+host+"/"+port)
}

// Probe connects.
func (p PortOpen) Probe(ctx context.Context, s *stage.Session) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	conn, err := dialer(s, p.Inside)(ctx, "tcp", p.Address)
	if err != nil {
		return late(err)
	}
	return conn.Close()
}

// HasAddress holds when the machine has an IP address.
type HasAddress struct {
	// Address is the address, and with a prefix length other than that of a single
	// address also its length.
	Address netip.Prefix

	// Interface must have it. Empty means any.
	Interface string
}

// String states the condition.
func (h HasAddress) String() string {
	if h.Interface != "" {
		return h.Interface + " has address " + h.text()
	}
	return "the machine has address " + h.text()
}

func (h HasAddress) text() string {
	if h.Address.IsSingleIP() {
		return h.Address.Addr().String()
	}
	return h.Address.String()
}

// Validate returns an error that matches [stage.ErrInvalid] if the address is none.
func (h HasAddress) Validate() error {
	if !h.Address.IsValid() {
		return invalid("no address")
	}
	return nil
}

// Manual returns ip address.
func (h HasAddress) Manual(string) []stage.Line {
	return typed(true, h.command()...)
}

func (h HasAddress) command() []string {
	args := []string{"ip", "-oneline", "address", "show"}
	if h.Interface != "" {
		args = append(args, "dev", h.Interface)
	}
	return args
}

// Probe reads what ip address prints. An address that is still tentative, ip-address(8),
// cannot be used and does not count.
func (h HasAddress) Probe(ctx context.Context, s *stage.Session) error {
	out, err := s.Output(ctx, h.command()...)
	if err != nil {
		return err
	}
	var seen []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[2], "inet") {
			continue
		}
		got, err := netip.ParsePrefix(f[3])
		if err != nil {
			a, err := netip.ParseAddr(f[3]) // point-to-point
			if err != nil {
				continue
			}
			got = netip.PrefixFrom(a, a.BitLen())
		}
		if got.Addr() == h.Address.Addr() && (h.Address.IsSingleIP() || got.Bits() == h.Address.Bits()) {
			if !strings.Contains(line, "tentative") {
				return nil
			}
		}
		seen = append(seen, f[1]+" "+got.String())
	}
	if seen == nil {
		return errors.New("no addresses")
	}
	return fmt.Errorf("addresses %s", strings.Join(seen, ", "))
}
