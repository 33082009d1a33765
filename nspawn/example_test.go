package nspawn_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"time"

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

// A command is like one of os/exec: what it prints is read as it comes, its exit status is
// in the error, and the end of the context kills all that it has started.
func ExampleMachine_Command() {
	var gw *nspawn.Machine // from Host.Start or Host.Find
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := gw.Command(ctx, "pacman", "-Syu", "--noconfirm")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	var exit *nspawn.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		fmt.Println("pacman ended with status", exit.ExitCode())
	case err != nil:
		log.Fatal(err) // it did not run, or the context ended first
	}
}

// A machine outlives the program that started it: the next one finds it by its name.
func ExampleHost_Find() {
	ctx := context.Background()
	host, err := nspawn.Open(ctx, nspawn.HostOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	if _, err := host.Sweep(ctx); err != nil { // what died, and was not cleaned up
		log.Fatal(err)
	}
	gw, err := host.Find(ctx, "gw")
	if errors.Is(err, nspawn.ErrNotFound) {
		gw, err = host.Start(ctx, nspawn.Config{Name: "gw", Root: "/srv/machines/gw"})
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(gw.Name(), "runs from", gw.Root())
}

// Files are those that the machine sees. A link in it leads nowhere outside of it.
func ExampleMachine_WriteFile() {
	var gw *nspawn.Machine // from Host.Start or Host.Find
	if err := gw.WriteFile("/etc/motd", []byte("welcome\n"), 0o644); err != nil {
		log.Fatal(err)
	}
	if err := gw.CopyIn(context.Background(), "checkout", "/root/sadm", "root"); err != nil {
		log.Fatal(err)
	}
	release, err := fs.ReadFile(gw.FS(), "etc/os-release")
	fmt.Println(string(release), err)
}

// What a service has logged since the machine was booted, and what it logs from now on.
func ExampleMachine_Journal() {
	var gw *nspawn.Machine // from Host.Start or Host.Find
	options := nspawn.JournalOptions{Unit: "nginx.service", ThisBoot: true, Follow: true}
	for entry, err := range gw.Journal(context.Background(), options) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Time, entry.Message)
	}
}

// What the host has, what it lacks, and what to do about that.
func ExamplePreflight() {
	for _, finding := range nspawn.Preflight(context.Background()) {
		fmt.Println(finding)
	}
}
