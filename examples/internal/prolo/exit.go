package prolo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses, see the usage text.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitHost        = 3
	exitInterrupted = 130
)

var errNotRoot = errors.New("must run as root: try it with sudo")

// hostError is a failure of the host, before any stage was tried.
type hostError struct{ error }

func (e *hostError) Unwrap() error { return e.error }

// usageError is a wrong command line.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// Main is the main function of the example called name: it reads the flags, calls
// run with a context that ends at the first Ctrl-C, and exits. The second Ctrl-C
// ends the program at once; what it leaves, the next run sweeps.
func Main(name string, run func(context.Context, *Flags) error) {
	flags, err := ParseFlags(name, os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		err = &usageError{err}
	} else {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		context.AfterFunc(ctx, stop)
		err = run(ctx, flags)
		if ctx.Err() != nil && err != nil {
			fmt.Fprintf(os.Stderr, "%s: interrupted; run it again to go on\n", name)
			os.Exit(exitInterrupted)
		}
	}
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	os.Exit(status(err))
}

func status(err error) int {
	var host *hostError
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &host):
		return exitHost
	}
	return exitFailed
}
