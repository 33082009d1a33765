package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/stage/cli"
)

type options struct {
	mirrors, repositories, keys, authorized cli.List
	dns, addresses, files                   cli.List
	sigLevel, date, gateway, machineID      string
	quiet                                   bool
	config                                  archboot.Config
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("bootstrap", flag.ContinueOnError)
	o.sourceFlags(f)
	o.systemFlags(f)
	f.BoolVar(&o.quiet, "q", false, "print warnings and errors only")
	return f
}

// sourceFlags say where packages come from.
func (o *options) sourceFlags(f *flag.FlagSet) {
	c := &o.config
	f.Var(&o.mirrors, "mirror", "`servers` to fetch packages from, with $repo and $arch in them; a dead one is passed over")
	f.StringVar(&o.date, "date", "", "take packages as they were on a `day`, such as 2018-05-01; the mirrors are archives then, without $repo and $arch")
	f.Var(&o.repositories, "repo", "`repositories` of the mirror (default core,extra)")
	f.Var(&o.keys, "key", "`files` with the OpenPGP keys to trust, armoured or binary")
	f.StringVar(&o.sigLevel, "siglevel", "", "what must be signed, as in pacman.conf(5) (default Required DatabaseOptional, as Arch does it)")
	f.Var((*cli.List)(&c.Packages), "packages", "`names` to install (default "+strings.Join(archboot.DefaultPackages(), ",")+")")
	f.StringVar(&c.CacheDir, "cache", "", "`directory` that keeps packages for the next time")
	f.StringVar((*string)(&c.Source.Method), "method", "", "pacman, tarball or clone (default: the first that is possible)")
	f.StringVar(&c.Source.Base, "base", "", "a finished `root`, or a snapshot of one, to clone instead of installing packages")
	f.StringVar(&c.Source.Tarball, "tarball", "", "bootstrap tarball, a `file or URL`, for hosts without pacman; its signature is beside it, .sig")
	f.StringVar(&c.Source.SHA256, "sha256", "", "checksum of the tarball")
	f.Var((*cli.List)(&c.Source.Fingerprints), "fingerprint", "`fingerprints` of the keys that may have signed the tarball")
	f.BoolVar(&c.Source.Unsigned, "unsigned", false, "accept a tarball without a signature; needs -sha256")
	f.StringVar(&c.NetworkNamespace, "netns", "", "`path` of the network namespace that pacman and install scripts run in")
}

// systemFlags say what the system is like.
func (o *options) systemFlags(f *flag.FlagSet) {
	c := &o.config
	f.Var((*cli.List)(&c.Services), "services", "`units` to enable (default "+strings.Join(archboot.DefaultServices(), ",")+")")
	f.StringVar(&c.Locale, "locale", "en_US.UTF-8", "language of the system")
	f.StringVar(&c.Keymap, "keymap", "", "keyboard of the console")
	f.StringVar(&c.TimeZone, "timezone", "Europe/Paris", "time zone")
	f.StringVar(&o.machineID, "machine-id", "", "random, uninitialized, or 32 hexadecimal digits (default: made at the first boot)")
	f.Var(&o.authorized, "authorized-keys", "`files` with the SSH keys that may log in as root")
	f.Var((*cli.List)(&c.NTP), "ntp", "`hosts` to take the time from")
	f.Var(&o.addresses, "address", "static `addresses`, such as 192.168.1.254/23, instead of DHCP")
	f.StringVar(&o.gateway, "gateway", "", "default gateway of a static address")
	f.Var((*cli.List)(&c.Network.Match), "interface", "`names` of the interfaces that this is for (default eth*,en*,host*)")
	f.Var(&o.dns, "dns", "`addresses` of name servers for resolv.conf, 127.0.0.1 first for one that serves itself (default: leave the file as it comes)")
	f.Var((*cli.List)(&c.Resolver.Search), "search", "`domains` to look names up in; needs -dns")
	f.Var(&o.files, "file", "`PATH=FILE`: put a file of this host into the root")
}

// complete fills in what flags give in another form than the Config has it.
func (o *options) complete() error {
	var errs []error
	if o.mirrors == nil && (o.date != "" || o.repositories != nil || o.sigLevel != "") {
		errs = append(errs, errors.New("-date, -repo and -siglevel are about a -mirror: give one"))
	}
	if o.repositories == nil {
		o.repositories = cli.List{"core", "extra"}
	}
	if o.date != "" {
		day, err := time.Parse(time.DateOnly, o.date)
		errs = append(errs, of("date", err))
		for i, m := range o.mirrors {
			o.mirrors[i] = archboot.ArchiveServer(m, day)
		}
	}
	for _, name := range o.repositories {
		if o.mirrors != nil {
			o.config.Repositories = append(o.config.Repositories, archboot.Repository{Name: name, Servers: o.mirrors, SigLevel: o.sigLevel})
		}
	}
	o.config.MachineID = archboot.MachineID(o.machineID)
	return errors.Join(append(errs, o.readFiles(), o.parseAddresses())...)
}

// of names the flag that an error is about, if there is one.
func of(flag string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("-%s: %w", flag, err)
}

func (o *options) readFiles() error {
	var errs []error
	for _, name := range o.keys {
		key, err := os.ReadFile(name)
		o.config.Keys, errs = append(o.config.Keys, key), append(errs, of("key", err))
	}
	for _, name := range o.authorized {
		data, err := os.ReadFile(name)
		errs = append(errs, of("authorized-keys", err))
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				o.config.AuthorizedKeys = append(o.config.AuthorizedKeys, line)
			}
		}
	}
	for _, pair := range o.files {
		path, name, ok := strings.Cut(pair, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("-file %s: PATH=FILE is wanted", pair))
			continue
		}
		data, err := os.ReadFile(name)
		file := archboot.File{Path: path, Data: data}
		if info, statErr := os.Stat(name); statErr == nil {
			file.Mode = info.Mode().Perm()
		}
		o.config.Files, errs = append(o.config.Files, file), append(errs, of("file", err))
	}
	return errors.Join(errs...)
}

func (o *options) parseAddresses() error {
	var errs []error
	for _, s := range o.dns {
		addr, err := netip.ParseAddr(s)
		o.config.Resolver.Servers, errs = append(o.config.Resolver.Servers, addr), append(errs, of("dns", err))
	}
	for _, s := range o.addresses {
		addr, err := netip.ParsePrefix(s)
		o.config.Network.Addresses, errs = append(o.config.Network.Addresses, addr), append(errs, of("address", err))
	}
	if o.gateway != "" {
		addr, err := netip.ParseAddr(o.gateway)
		o.config.Network.Gateway, errs = addr, append(errs, of("gateway", err))
	}
	return errors.Join(errs...)
}
