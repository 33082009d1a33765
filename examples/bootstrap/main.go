// Command bootstrap turns an empty directory into a bootable Arch Linux root, for a
// container, a virtual machine or bare metal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/prologin/rig/archboot"
)

// list is a flag of several values, separated by commas or given again.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(s string) error {
	*l = append(*l, strings.Split(s, ",")...)
	return nil
}

type options struct {
	mirrors, repositories, keys list
	sigLevel                    string
	dns                         list
	quiet                       bool
	config                      archboot.Config
}

func (o *options) flags(out io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet("bootstrap", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() { fmt.Fprint(out, usage); f.PrintDefaults() }
	c := &o.config
	f.Var(&o.mirrors, "mirror", "`servers` to fetch packages from, with $repo and $arch in them; a dead one is passed over")
	f.Var(&o.repositories, "repo", "`repositories` of the mirror (default core,extra)")
	f.Var(&o.keys, "key", "`files` with the OpenPGP keys to trust, armoured or binary")
	f.StringVar(&o.sigLevel, "siglevel", "", "what must be signed, as in pacman.conf(5) (default Required)")
	f.Var((*list)(&c.Packages), "packages", "`names` to install (default "+strings.Join(archboot.DefaultPackages(), ",")+")")
	f.Var((*list)(&c.Services), "services", "`units` to enable (default "+strings.Join(archboot.DefaultServices(), ",")+")")
	f.StringVar(&c.Locale, "locale", "en_US.UTF-8", "language of the system")
	f.StringVar(&c.Keymap, "keymap", "", "keyboard of the console")
	f.StringVar(&c.TimeZone, "timezone", "Europe/Paris", "time zone")
	f.Var((*list)(&c.NTP), "ntp", "`hosts` to take the time from")
	f.Var(&o.dns, "dns", "`addresses` of name servers for resolv.conf (default: leave the file as it comes)")
	f.Var((*list)(&c.Resolver.Search), "search", "`domains` to look names up in; needs -dns")
	f.StringVar(&c.CacheDir, "cache", "", "`directory` that keeps packages for the next time")
	f.StringVar(&c.Source.Tarball, "tarball", "", "bootstrap tarball, a `file or URL`, for hosts without pacman; its signature is beside it, .sig")
	f.StringVar(&c.Source.SHA256, "sha256", "", "checksum of the tarball")
	f.Var((*list)(&c.Source.Fingerprints), "fingerprint", "`fingerprints` of the keys that may have signed the tarball")
	f.BoolVar(&o.quiet, "q", false, "print warnings and errors only")
	return f
}

// complete fills in what flags give in another form than the Config has it.
func (o *options) complete() error {
	if o.repositories == nil {
		o.repositories = list{"core", "extra"}
	}
	for _, name := range o.repositories {
		if o.mirrors != nil {
			o.config.Repositories = append(o.config.Repositories, archboot.Repository{Name: name, Servers: o.mirrors, SigLevel: o.sigLevel})
		}
	}
	var errs []error
	for _, name := range o.keys {
		key, err := os.ReadFile(name)
		o.config.Keys, errs = append(o.config.Keys, key), append(errs, err)
	}
	for _, s := range o.dns {
		addr, err := netip.ParseAddr(s)
		o.config.Resolver.Servers, errs = append(o.config.Resolver.Servers, addr), append(errs, err)
	}
	return errors.Join(errs...)
}

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
