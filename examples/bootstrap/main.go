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
)

func run(ctx context.Context, args []string, stdin io.Reader, out io.Writer) error {
	var o options
	f := o.flags(out)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 3 {
		return fmt.Errorf("ROOT, HOSTNAME and PASSWORD_FILE are needed, got %d arguments; see -h", f.NArg())
	}
	if err := o.complete(); err != nil {
		return err
	}
	o.config.Hostname, o.config.Password = f.Arg(1), stdin
	if name := f.Arg(2); name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		o.config.Password = file
	}
	o.config.Progress = func(e archboot.Event) {
		if !o.quiet || e.Kind == archboot.EventWarning {
			fmt.Fprintln(out, e)
		}
	}
	return archboot.Bootstrap(ctx, f.Arg(0), o.config)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bootstrap:", err)
		os.Exit(1)
	}
}
