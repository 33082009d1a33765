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
	"strings"
	"syscall"

	"github.com/prologin/rig/internal/testhost"
)

const usage = `usage: testhost [-suite trixie] [-vm] [-q] command

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
	flags.BoolVar(&cfg.VM, "vm", false, "a virtual machine with Debian's own kernel and nothing but cgroup v2, instead of a container")
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

// ending signals break off what is under way.
var ending = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

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
		ctx, stop := signal.NotifyContext(ctx, ending...)
		defer stop()
		if _, err := testhost.Build(ctx, cfg); err != nil {
			return err
		}
		return testhost.Roots(ctx, cfg)
	case "clean":
		return testhost.Clean(ctx, cfg)
	case testhost.AgentCommand:
		return testhost.Agent()
	}
	return fmt.Errorf("no command %q, see -h", command)
}

// use acquires the host around do. Signals that come before do are let through
// to break off the boot; those that come during it are do's.
func use(ctx context.Context, cfg testhost.Config, do func(*testhost.Host, <-chan os.Signal) error) error {
	booting, cancel := signal.NotifyContext(ctx, ending...)
	host, err := testhost.Acquire(booting, cfg)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(ending, syscall.SIGUSR1, syscall.SIGUSR2)...)
	cancel()
	if err != nil {
		return err
	}
	err = do(host, signals)
	released := host.Release(ctx)
	if err == nil {
		return released
	}
	if released != nil {
		fmt.Fprintln(os.Stderr, released)
	}
	return err
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
	err := testhost.ExitErrorOf(cmd.Wait())
	close(done)
	return err
}

// status is what to exit with: the command's own status, 128 and the signal that
// ended it, as in a shell, or 125 for what is not the command's doing.
func status(err error) int {
	if err == nil {
		return 0
	}
	exit, ours := err.(*testhost.ExitError) // bare, or it is some helper's
	if ours && exit.Signal == 0 {
		return exit.Code
	}
	fmt.Fprintln(os.Stderr, "testhost:", strings.TrimPrefix(err.Error(), "testhost: "))
	if ours {
		return 128 + int(exit.Signal)
	}
	return 125
}
