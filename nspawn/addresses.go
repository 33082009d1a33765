package nspawn

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Addresses returns the addresses of the machine's interfaces, loopback left
// out, with link-local ones last and carrying the interface as their zone.
func (m *Machine) Addresses(ctx context.Context) ([]netip.Addr, error) {
	l, err := m.leaderNow()
	if err != nil {
		return nil, m.fail("list the addresses of", err)
	}
	var found []netip.Addr
	err = onOwnThread(func() error {
		if err := l.fd.setns(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("join the machine's network: %w", err)
		}
		found, err = interfaceAddresses()
		return err
	})
	return found, m.fail("list the addresses of", err)
}

// interfaceAddresses lists those of the calling thread's network namespace.
func interfaceAddresses() (global []netip.Addr, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var local []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		prefixes, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, p := range prefixes {
			prefix, err := netip.ParsePrefix(p.String())
			if err != nil {
				continue
			}
			if prefix.Addr().IsLinkLocalUnicast() {
				local = append(local, prefix.Addr().WithZone(i.Name))
			} else {
				global = append(global, prefix.Addr())
			}
		}
	}
	return append(global, local...), nil
}
