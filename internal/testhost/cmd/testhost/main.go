// Testhost runs test binaries in a booted Debian of its own, see package
// testhost. It is meant for go test -exec.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/prologin/rig/internal/testhost"
)

const usage = `usage: testhost [-suite trixie] [-q] command

  exec BINARY [ARG…]    run a test binary in the host (go test -exec 'testhost exec')
  with COMMAND [ARG…]   run a command here, and keep the host up for as long
  shell [COMMAND…]      a root shell, or a command, in the host
  start                 boot the host and leave it running
  stop                  end it, whoever uses it
  build                 make the host's image and the roots for tests, if they are not made yet
  clean                 stop the module's hosts and remove all images

exec, with and shell boot the host if it does not run, and end it when its last
user leaves, unless it was started by start.

`

func main() {
	flags := flag.NewFlagSet("testhost", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	var cfg testhost.Config
	flags.StringVar(&cfg.Suite, "suite", "trixie", "Debian release of the host: bookworm (systemd 252), trixie (257) or sid")
	quiet := flags.Bool("q", false, "say nothing but errors")
	_ = flags.Parse(os.Args[1:])
	if !*quiet {
		cfg.Output = os.Stderr
	}
	if flags.NArg() == 0 {
		flags.Usage()
		os.Exit(2)
	}
	os.Exit(status(run(cfg, flags.Arg(0), flags.Args()[1:])))
}

func run(cfg testhost.Config, command string, args []string) error {
	ctx := context.Background()
	switch command {
	case "exec":
		if len(args) == 0 {
			return errors.New("exec: which binary?")
		}
		return use(ctx, cfg, func(h *testhost.Host, signals <-chan os.Signal) error {
			return h.Exec(ctx, args, signals)
		})
	case "shell":
		return use(ctx, cfg, func(h *testhost.Host, signals <-chan os.Signal) error {
			return h.Shell(ctx, args, signals)
		})
	case "with":
		if len(args) == 0 {
			return errors.New("with: which command?")
		}
		return use(ctx, cfg, func(_ *testhost.Host, signals <-chan os.Signal) error {
			return here(args, signals)
		})
	case "start":
		return use(ctx, cfg, func(h *testhost.Host, _ <-chan os.Signal) error { return h.Keep() })
	case "stop":
		return testhost.Stop(ctx, cfg)
	case "build":
		if _, err := testhost.Build(ctx, cfg); err != nil {
			return err
		}
		return testhost.Roots(ctx, cfg)
	case "clean":
		return testhost.Clean(ctx, cfg)
	}
	return fmt.Errorf("no command %q, see -h", command)
}

// use acquires the host around do. Signals that come before do are let through
// to break off the boot; those that come during it are do's.
func use(ctx context.Context, cfg testhost.Config, do func(*testhost.Host, <-chan os.Signal) error) error {
	booting, cancel := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	host, err := testhost.Acquire(booting, cfg)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	cancel()
	if err != nil {
		return err
	}
	err = do(host, signals)
	return errors.Join(err, host.Release(ctx))
}

// here runs a command outside of the host. Signals from a terminal reach it
// anyway.
func here(args []string, signals <-chan os.Signal) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-signals:
				if sig != os.Interrupt && sig != syscall.SIGQUIT {
					_ = cmd.Process.Signal(sig)
				}
			case <-done:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	return err
}

// status is what to exit with. A command that a signal ended is reported as a
// shell does; what is not the command's doing is said, and is 125.
func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	case errors.As(err, &exit):
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			fmt.Fprintln(os.Stderr, "testhost: the command was ended by", ws.Signal())
			return 128 + int(ws.Signal())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 125
}
