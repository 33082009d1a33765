package netsetup

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	ok := Network{Bridge: "vz-prolo", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Masquerade: true}
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	prefixes := func(list ...string) Network {
		n := Network{Bridge: "br0"}
		for _, s := range list {
			n.Prefixes = append(n.Prefixes, netip.MustParsePrefix(s))
		}
		return n
	}
	for _, test := range []struct {
		name string
		n    Network
		want []string // parts of the text; none for a valid network
	}{
		{"15 bytes", Network{Bridge: "vz-123456789012"}, nil},
		{"bare bridge", Network{Bridge: "gw.local"}, nil},
		{"no name", Network{}, []string{"bridge has no name"}},
		{"16 bytes", Network{Bridge: "vz-1234567890123"}, []string{"16 bytes, 15 are the limit"}},
		{"slash", Network{Bridge: "a/b"}, []string{`has a '/'`}},
		{"space", Network{Bridge: "a b"}, []string{`has a ' '`}},
		{"template", Network{Bridge: "br%d"}, []string{`has a '%'`}},
		{"wildcard", Network{Bridge: "br+"}, []string{`has a '+'`}},
		{"option", Network{Bridge: "-br"}, []string{`may not begin with '-'`}},
		{"dots", Network{Bridge: ".."}, []string{`may not begin with '.'`}},
		{"sysctl", Network{Bridge: "all"}, []string{`may not be called "all"`}},
		{"not ASCII", Network{Bridge: "brü"}, []string{"only letters"}},
		{"IPv4 and IPv6", prefixes("10.0.0.1/24", "fd00::1/64"), nil},
		{"/30", prefixes("10.0.0.1/30"), nil},
		{"/31", prefixes("10.0.0.1/31"), []string{"no room for a machine"}},
		{"subnet", prefixes("10.0.0.0/24"), []string{"is the subnet itself", "10.0.0.1/24"}},
		{"broadcast", prefixes("10.0.0.255/24"), []string{"broadcast"}},
		{"mapped", prefixes("::ffff:10.0.0.1/120"), []string{"write 10.0.0.1"}},
		{"multicast", prefixes("224.0.0.1/24"), []string{"not an address that a host can have"}},
		{"loopback", prefixes("127.0.0.1/8"), []string{"not an address that a host can have"}},
		{"link-local", prefixes("fe80::1/64"), []string{"link-local"}},
		{"too wide", prefixes("10.0.0.1/7"), []string{"wider than /8"}},
		{"zero prefix", Network{Bridge: "br0", Prefixes: make([]netip.Prefix, 1)}, []string{"empty or malformed"}},
		{"overlap", prefixes("10.0.0.1/24", "10.0.0.129/25"), []string{"10.0.0.1/24 and 10.0.0.129/25 overlap"}},
		{"nothing to masquerade", Network{Bridge: "br0", Masquerade: true}, []string{"needs a prefix"}},
		{"MTU", Network{Bridge: "br0", MTU: 20}, []string{"MTU 20"}},
		{"all at once", Network{Bridge: "a/b", MTU: 1, Masquerade: true}, []string{"'/'", "MTU 1", "needs a prefix"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.n.Validate()
			if len(test.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("got %v, want ErrInvalid", err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}
