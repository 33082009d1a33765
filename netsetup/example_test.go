package netsetup_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"

	"github.com/prologin/rig/netsetup"
)

var prolo = netsetup.Network{
	Bridge:     "vz-prolo",
	Prefixes:   []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	Masquerade: true,
}

func Example() {
	ctx := context.Background()
	host, err := netsetup.Open(netsetup.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()

	// What an earlier run may have left, had it been killed.
	if _, err := host.Sweep(ctx); err != nil {
		log.Fatal(err)
	}
	if err := host.Apply(ctx, prolo); err != nil {
		log.Fatal(err)
	}
	defer host.Remove(context.WithoutCancel(ctx), prolo.Bridge)

	// … start machines with --network-bridge=vz-prolo …
}

// What Apply would do, as a person would type it.
func ExampleHost_Plan() {
	host, err := netsetup.Open(netsetup.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()

	changes, err := host.Plan(context.Background(), prolo)
	var conflict *netsetup.ConflictError
	if errors.As(err, &conflict) {
		log.Fatalf("%s is in the way", conflict.With)
	}
	fmt.Print(changes)
}

func ExampleNetwork_Validate() {
	n := netsetup.Network{
		Bridge:   "vz-a-very-long-name",
		Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
	}
	fmt.Println(n.Validate())
	// Output:
	// netsetup: validate vz-a-very-long-name: invalid: bridge name "vz-a-very-long-name" has 19 bytes, 15 are the limit
	// invalid: prefix 10.0.0.0/24 is the subnet itself: give the host an address in it, such as 10.0.0.1/24
}
