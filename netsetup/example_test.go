package netsetup_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"time"

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

// A network without a way out, as a person would make it. Neither privileges nor a host are
// needed to print it.
func ExampleNetwork_Manual() {
	lan := netip.MustParsePrefix("10.0.0.1/24")
	n := netsetup.Network{
		Bridge:    "lab",
		Prefixes:  []netip.Prefix{lan},
		Pairs:     []netsetup.Pair{{Machine: "gw"}},   // for --network-interface=gw.local
		Taps:      []netsetup.Tap{{Name: "vnet0"}},    // for qemu -netdev tap,ifname=vnet0
		Isolation: netsetup.Isolation{Machines: true}, // each is on its own
	}
	commands, err := n.Manual()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(commands)
	// Output:
	// ip link add lab address 9e:3a:09:e5:02:ed group 2016880294 type bridge
	// ip link set lab alias "rig lab"
	// echo 1 > /proc/sys/net/ipv6/conf/lab/disable_ipv6
	// ip address add 10.0.0.1/24 dev lab
	// ip link add gw.bridge address 2e:81:14:74:65:fb group 2016880294 type veth peer name gw.local address 46:a4:48:41:4f:d8
	// ip link set gw.bridge master lab up alias "rig lab: gw"
	// ip tuntap add vnet0 mode tap
	// ip link set vnet0 group 2016880294
	// ip link set vnet0 master lab up alias "rig lab: vnet0"
	// bridge link set dev gw.bridge isolated on
	// bridge link set dev vnet0 isolated on
	// ip link set lab up
}

// A port of the host leads to a machine, whoever asks.
func ExampleForward() {
	n := prolo
	n.Forwards = []netsetup.Forward{{
		Protocol: "tcp",
		Listen:   netip.MustParseAddrPort("0.0.0.0:8080"),
		To:       netip.MustParseAddrPort("10.0.0.254:80"),
	}}
	fmt.Println(n.Forwards[0], n.Validate())
	// Output: tcp 0.0.0.0:8080 to 10.0.0.254:80 <nil>
}

// Why does a machine not reach the world? The packet is followed, not sent.
func ExampleHost_Explain() {
	host, err := netsetup.Open(netsetup.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	why, err := host.Explain(context.Background(), netsetup.Packet{
		Src:      netip.MustParseAddr("10.0.0.254"), // gw
		Dst:      netip.MustParseAddr("192.0.2.80"),
		Protocol: "tcp", Port: 443, In: "vz-prolo",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, step := range why.Steps {
		fmt.Println(step)
	}
	if !why.Passes {
		fmt.Println("stopped by", why.Reason)
	}
}

// On a host that networkd runs, the bridge comes with the first machine that is started
// with --network-zone=prolo.
func ExampleHost_ApplyZone() {
	ctx := context.Background()
	host, err := netsetup.Open(netsetup.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	zone := netsetup.Zone{Name: "prolo", Prefixes: prolo.Prefixes, Masquerade: true}
	err = host.ApplyZone(ctx, zone)
	var shadow *netsetup.ShadowError
	if errors.As(err, &shadow) {
		log.Fatalf("give %s a narrower [Match]", shadow.File)
	}
	if err != nil {
		log.Fatal(err)
	}
	defer host.Remove(context.WithoutCancel(ctx), zone.Bridge())

	// … start a machine with --network-zone=prolo, and then:
	if err := host.WaitZone(ctx, zone); err != nil {
		log.Fatal(err)
	}
}

// The machines are put on the host's own network. Whoever is still connected a while later
// says so; else the host is as before.
func ExampleHost_Confirm() {
	ctx := context.Background()
	host, err := netsetup.Open(netsetup.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	err = host.Apply(ctx, netsetup.Network{
		Bridge: "vz-prolo", Uplink: netsetup.DefaultUplink,
		Bridged: &netsetup.Bridged{Consent: true, ConfirmWithin: 30 * time.Second},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print("still there? press Enter ")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return // Close puts it back
	}
	if err := host.Confirm(ctx, "vz-prolo"); err != nil {
		log.Print(err)
	}
}
