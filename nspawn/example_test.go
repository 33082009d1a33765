package nspawn_test

import (
	"context"
	"fmt"

	"github.com/prologin/rig/nspawn"
)

// Example starts a machine, runs a command in it and powers it off.
func Example() {
	ctx := context.Background()
	host, err := nspawn.Open(ctx, nspawn.HostOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()
	gw, err := host.Start(ctx, nspawn.Config{
		Name: "gw", Root: "/srv/machines/gw",
		Network: nspawn.Network{Bridge: "vz-prolo"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gw.Stop(ctx)
	if err := gw.WaitReady(ctx); err != nil {
		fmt.Println(err) // says which units are to blame
		return
	}
	if err := gw.Unit("nginx").WaitActive(ctx); err != nil {
		fmt.Println(err)
		return
	}
	out, err := gw.Command(ctx, "ip", "-br", "address").Output()
	fmt.Println(string(out), err)
}

// The command line is what one would type to boot the same machine by hand.
func ExampleConfig_CommandLine() {
	config := nspawn.Config{Name: "gw", Root: "/srv/machines/gw", Network: nspawn.Network{Zone: "prolo"}}
	fmt.Println(config.CommandLine())
	// Output: systemd-nspawn --settings=no --machine=gw --directory=/srv/machines/gw --resolv-conf=off --timezone=off --link-journal=no --kill-signal=SIGRTMIN+4 --network-zone=prolo --notify-ready=yes --boot
}

// Validate reports everything at once.
func ExampleConfig_Validate() {
	config := nspawn.Config{Name: "my machine", Network: nspawn.Network{Zone: "much-too-long-a-name", Host: true}}
	fmt.Println(config.Validate())
	// Output:
	// Name: "my machine" holds ' '; only letters, digits, '-', '_' and '.' are allowed
	// Root: no path is given
	// Network: Host and Zone exclude each other
	// Network.Zone: bridge "vz-much-too-long-a-name" is longer than 15 bytes
}
