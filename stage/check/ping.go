package check

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/prologin/rig/stage"
)

// Ping holds when an address answers an ICMP echo request. From the host it needs
// CAP_NET_RAW, from inside the machine the program ping.
type Ping struct {
	Address netip.Addr

	// Inside looks from inside the machine instead of from the host.
	Inside bool
}

// String states the condition.
func (p Ping) String() string { return p.Address.String() + " answers a ping" + where(p.Inside) }

// Validate returns an error that matches [stage.ErrInvalid] if the address is none.
func (p Ping) Validate() error {
	if !p.Address.IsValid() {
		return invalid("no address")
	}
	return nil
}

// Manual returns ping.
func (p Ping) Manual(string) []stage.Line {
	return typed(p.Inside, "ping", "-c", "1", p.Address.String())
}

// Probe sends one request and waits a second for the answer.
func (p Ping) Probe(ctx context.Context, s *stage.Session) error {
	if p.Inside {
		_, err := s.Output(ctx, "ping", "-n", "-q", "-c", "1", "-W", "1", p.Address.String())
		if stage.ExitCode(err) == 1 {
			return errors.New("no answer")
		}
		return err
	}
	network, request, reply := "ip4:icmp", byte(8), byte(0) // RFC 792
	if p.Address.Is6() {
		network, request, reply = "ip6:ipv6-icmp", 128, 129 // RFC 4443
	}
	conn, err := s.HostDial(ctx, network, p.Address.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn.SetDeadline(time.Now().Add(time.Second))
	id := uint16(rand.Uint32())
	if _, err := conn.Write(echo(request, id)); err != nil {
		return err
	}
	return awaitEcho(conn, reply, id)
}

// awaitEcho reads until the answer with the given identifier comes: a raw socket sees
// those for others as well.
func awaitEcho(conn net.Conn, reply byte, id uint16) error {
	buf := make([]byte, 1500)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("no answer")
		}
		if err != nil {
			return err
		}
		m := buf[:n]
		if n > 0 && m[0]>>4 == 4 { // raw(7): for IPv4 its header comes first
			m = m[min(n, int(m[0]&15)*4):]
		}
		if len(m) >= 8 && m[0] == reply && binary.BigEndian.Uint16(m[4:]) == id {
			return nil
		}
	}
}

// echo returns an echo request. The kernel fills in the checksum for IPv6 only.
func echo(kind byte, id uint16) []byte {
	m := []byte{kind, 0, 0, 0, byte(id >> 8), byte(id), 0, 1, 'r', 'i', 'g', '!'}
	if kind == 8 {
		sum := uint32(0)
		for i := 0; i < len(m); i += 2 {
			sum += uint32(m[i])<<8 | uint32(m[i+1])
		}
		sum = sum>>16 + sum&0xffff
		sum += sum >> 16
		binary.BigEndian.PutUint16(m[2:], ^uint16(sum))
	}
	return m
}
