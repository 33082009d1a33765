package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/stage"
)

// Resolves holds when a name has a DNS record.
type Resolves struct {
	// Name is asked for as it is, without any search domain.
	Name string

	// Type is the record's: A (also if empty), AAAA, CNAME, NS, PTR or TXT.
	Type string

	// Want is the record's value. Empty means that any will do.
	Want string

	// Server is the server to ask, as "host" or "host:port". Empty means what the
	// machine itself uses to find addresses: then Inside must be set, and Type A or AAAA.
	Server string

	// Inside looks from inside the machine instead of from the host.
	Inside bool
}

// recordTypes are the numbers of RFC 1035 and RFC 3596.
func recordTypes() map[string]uint16 {
	return map[string]uint16{"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "TXT": 16, "AAAA": 28}
}

func (r Resolves) kind() string {
	if r.Type == "" {
		return "A"
	}
	return strings.ToUpper(r.Type)
}

func (r Resolves) server() string {
	if _, _, err := net.SplitHostPort(r.Server); err == nil {
		return r.Server
	}
	return net.JoinHostPort(strings.Trim(r.Server, "[]"), "53")
}

// String states the condition.
func (r Resolves) String() string {
	text := fmt.Sprintf("%s has a record %s", r.Name, r.kind())
	if r.Want != "" {
		text += " " + r.Want
	}
	if r.Server != "" {
		text += " at " + r.Server
	}
	return text + where(r.Inside)
}

// Validate returns an error that matches [stage.ErrInvalid] if a field is wrong.
func (r Resolves) Validate() error {
	if _, err := appendName(nil, r.Name); err != nil || r.Name == "" {
		return invalid("name %q", r.Name)
	}
	if recordTypes()[r.kind()] == 0 {
		return invalid("record type %q", r.Type)
	}
	if r.Server == "" && (!r.Inside || r.kind() != "A" && r.kind() != "AAAA") {
		return invalid("without a server only addresses can be looked up, from inside")
	}
	return nil
}

// Manual returns dig, or getent.
func (r Resolves) Manual(string) []stage.Line {
	if r.Server == "" {
		return typed(true, r.getent()...)
	}
	host, port, _ := net.SplitHostPort(r.server())
	args := []string{"dig", "+short", "@" + host}
	if port != "53" {
		args = append(args, "-p", port)
	}
	return typed(r.Inside, append(args, r.Name, r.kind())...)
}

func (r Resolves) getent() []string {
	if r.kind() == "AAAA" {
		return []string{"getent", "ahostsv6", r.Name}
	}
	return []string{"getent", "ahostsv4", r.Name}
}

// Probe asks the server, over UDP and, if the answer does not fit, over TCP.
func (r Resolves) Probe(ctx context.Context, s *stage.Session) error {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	var values []string
	var err error
	if r.Server == "" {
		values, err = r.system(ctx, s)
	} else {
		values, err = r.ask(ctx, s)
	}
	switch {
	case err != nil:
		return late(err)
	case len(values) == 0:
		return fmt.Errorf("no record %s", r.kind())
	case r.Want != "" && !slices.ContainsFunc(values, r.equal):
		return fmt.Errorf("records %s", strings.Join(values, ", "))
	}
	return nil
}

func (r Resolves) equal(value string) bool {
	if r.kind() == "TXT" {
		return value == r.Want
	}
	return strings.EqualFold(strings.TrimSuffix(value, "."), strings.TrimSuffix(r.Want, "."))
}

func (r Resolves) system(ctx context.Context, s *stage.Session) (values []string, err error) {
	out, err := s.Output(ctx, r.getent()...)
	if stage.ExitCode(err) == 2 { // getent(1): not found
		return nil, nil
	}
	for line := range strings.Lines(string(out)) {
		// Where there is no AAAA, ahostsv6 prints what A says, mapped.
		if f := strings.Fields(line); len(f) > 0 && !slices.Contains(values, f[0]) && !mapped(f[0]) {
			values = append(values, f[0])
		}
	}
	return values, err
}

func mapped(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is4In6()
}

func (r Resolves) ask(ctx context.Context, s *stage.Session) ([]string, error) {
	id := uint16(rand.Uint32())
	query, err := newQuery(id, r.Name, recordTypes()[r.kind()])
	if err != nil {
		return nil, invalid("name: %v", err)
	}
	for _, network := range []string{"udp", "tcp"} {
		answer, err := exchange(ctx, dialer(s, r.Inside), network, r.server(), query)
		if err != nil {
			return nil, err
		}
		values, err := parseAnswer(answer, id, recordTypes()[r.kind()])
		if !errors.Is(err, errTruncated) {
			return values, err
		}
	}
	return nil, errTruncated
}

// exchange sends a query and returns the answer.
func exchange(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, server string, query []byte) ([]byte, error) {
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "udp" {
		if _, err := conn.Write(query); err != nil {
			return nil, err
		}
		buf := make([]byte, 4096)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err = io.ReadFull(conn, buf)
	return buf, err
}
