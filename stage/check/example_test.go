package check_test

import (
	"fmt"
	"net/netip"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

// Checks from the host and from inside the machine look alike.
func Example() {
	for _, c := range []stage.Check{
		check.UnitActive{Name: "named.service"},
		check.Resolves{Name: "gw.prolo", Want: "192.168.1.254", Server: "10.0.0.254"},
		check.Resolves{Name: "gw.prolo", Server: "127.0.0.1", Inside: true},
		check.Ping{Address: netip.MustParseAddr("10.0.0.254")},
		check.URL{URL: "http://mdb/call/query", Inside: true},
	} {
		fmt.Println(c)
	}
	// Output:
	// named.service is active
	// gw.prolo has a record A 192.168.1.254 at 10.0.0.254
	// gw.prolo has a record A at 127.0.0.1, seen from inside
	// 10.0.0.254 answers a ping
	// http://mdb/call/query answers 200, seen from inside
}
