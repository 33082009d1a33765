// Needs installs the system packages that a make target needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"github.com/prologin/rig/internal/syspkg"
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, "usage: needs [-no-install] [-bench] [-fresh] [-vm]\n\nInstalls what the tests need on this host and is not there yet.\n\n")
		flag.PrintDefaults()
	}
	noInstall := flag.Bool("no-install", false, "install nothing: name the missing packages and fail")
	bench := flag.Bool("bench", false, "also what the benchmarks compare with")
	fresh := flag.Bool("fresh", false, "also what a clone in a bare root takes")
	vm := flag.Bool("vm", false, "also what a virtual machine takes")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	needs := slices.Concat(syspkg.Lab(), syspkg.Bootstrap(), syspkg.Mirror(), syspkg.Tests())
	if *bench {
		needs = append(needs, syspkg.Bench()...)
	}
	if *fresh {
		needs = append(needs, syspkg.Fresh()...)
	}
	if *vm {
		needs = append(needs, syspkg.VM()...)
	}
	if err := syspkg.Ensure(ctx, os.Stderr, !*noInstall, needs); err != nil {
		fmt.Fprintln(os.Stderr, "needs:", err)
		os.Exit(3)
	}
}
