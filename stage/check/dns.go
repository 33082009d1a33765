package check

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// The standard library's resolver also reads the host's own /etc/hosts, which would
// answer for a server that does not. So here is the little of RFC 1035 that a check
// needs.

var (
	errTruncated = errors.New("DNS: answer truncated")
	errMalformed = errors.New("DNS: malformed answer")
)

// newQuery returns a query for one record, with recursion desired.
func newQuery(id uint16, name string, kind uint16) ([]byte, error) {
	q := binary.BigEndian.AppendUint16(nil, id)
	q = append(q, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	q, err := appendName(q, name)
	if err != nil {
		return nil, err
	}
	q = binary.BigEndian.AppendUint16(q, kind)
	return binary.BigEndian.AppendUint16(q, 1), nil
}

func appendName(b []byte, name string) ([]byte, error) {
	start := len(b)
	if name = strings.TrimSuffix(name, "."); name != "" {
		for label := range strings.SplitSeq(name, ".") {
			if len(label) == 0 || len(label) > 63 {
				return nil, fmt.Errorf("label %q of %q", label, name)
			}
			b = append(append(b, byte(len(label))), label...)
		}
	}
	if b = append(b, 0); len(b)-start > 255 {
		return nil, fmt.Errorf("name %q is too long", name)
	}
	return b, nil
}

// rcodes are the usual ways of saying no, RFC 1035 section 4.1.1.
func rcode(code byte) error {
	names := []string{"", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if int(code) < len(names) {
		return errors.New(names[code])
	}
	return fmt.Errorf("DNS: code %d", code)
}

// parseAnswer returns the values of the records of one type.
func parseAnswer(m []byte, id, kind uint16) ([]string, error) {
	if len(m) < 12 || binary.BigEndian.Uint16(m) != id || m[2]&0x80 == 0 {
		return nil, errMalformed
	}
	if code := m[3] & 0xf; code != 0 {
		return nil, rcode(code)
	}
	if m[2]&2 != 0 {
		return nil, errTruncated
	}
	questions, answers := binary.BigEndian.Uint16(m[4:]), binary.BigEndian.Uint16(m[6:])
	at := 12
	for range questions {
		_, next, err := readName(m, at)
		if err != nil {
			return nil, err
		}
		at = next + 4
	}
	var values []string
	for range answers {
		_, next, err := readName(m, at)
		if err != nil || next+10 > len(m) {
			return nil, errMalformed
		}
		data := next + 10
		at = data + int(binary.BigEndian.Uint16(m[next+8:]))
		if at > len(m) {
			return nil, errMalformed
		}
		if binary.BigEndian.Uint16(m[next:]) != kind {
			continue
		}
		v, err := readValue(m, kind, data, at)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func readValue(m []byte, kind uint16, from, to int) (string, error) {
	switch kind {
	case 1, 28:
		a, ok := netip.AddrFromSlice(m[from:to])
		if !ok {
			return "", errMalformed
		}
		return a.String(), nil
	case 16:
		var text strings.Builder
		for from < to {
			end := from + 1 + int(m[from])
			if end > to {
				return "", errMalformed
			}
			text.Write(m[from+1 : end])
			from = end
		}
		return text.String(), nil
	}
	name, _, err := readName(m, from)
	return name, err
}

// readName reads a name, which may end in a pointer to an earlier part of the message,
// and returns where it ends. Pointers only go backwards, so it always ends.
func readName(m []byte, at int) (name string, next int, err error) {
	next = -1
	limit := at
	for {
		if at >= len(m) {
			return "", 0, errMalformed
		}
		n := int(m[at])
		switch {
		case n == 0:
			if next < 0 {
				next = at + 1
			}
			return name, next, nil
		case n < 64:
			if at+1+n > len(m) || len(name) > 255 {
				return "", 0, errMalformed
			}
			name += string(m[at+1:at+1+n]) + "."
			at += 1 + n
		case n >= 192 && at+1 < len(m):
			if next < 0 {
				next = at + 2
			}
			at = (n&63)<<8 | int(m[at+1])
			if at >= limit {
				return "", 0, errMalformed
			}
			limit = at
		default:
			return "", 0, errMalformed
		}
	}
}
