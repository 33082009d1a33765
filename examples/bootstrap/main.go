// Command bootstrap turns an empty directory into a bootable Arch Linux root, for a
// container, a virtual machine or bare metal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/stage/cli"
)

func run(ctx context.Context, args []string, stdin io.Reader, out io.Writer) error {
	var o options
	f := o.flags()
	if err := cli.Parse(f, args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		f.SetOutput(out)
		f.PrintDefaults()
		return nil
	} else if err != nil {
		return misused(err)
	}
	if f.NArg() != 3 {
		return misused(fmt.Errorf("ROOT, HOSTNAME and PASSWORD_FILE are needed, got %d arguments", f.NArg()))
	}
	if err := o.complete(); err != nil {
		return misused(err)
	}
	o.config.Hostname, o.config.Password = f.Arg(1), stdin
	if name := f.Arg(2); name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return misused(err)
		}
		defer file.Close()
		o.config.Password = file
	}
	o.config.Progress = func(e archboot.Event) {
		if !o.quiet || e.Kind == archboot.EventWarning {
			fmt.Fprintln(out, e)
		}
	}
	err := archboot.Bootstrap(ctx, f.Arg(0), o.config)
	if errors.Is(err, archboot.ErrInvalid) {
		return misused(err)
	}
	return err
}

func misused(err error) error { return cli.Usage(fmt.Errorf("%w; see bootstrap -h", err)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	err := run(ctx, os.Args[1:], os.Stdin, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "bootstrap:", err)
	if ctx.Err() != nil {
		os.Exit(cli.Interrupted)
	}
	os.Exit(cli.Status(err))
}
