package lab

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage/cli"
)

// Options say how a lab is to be made on this host. The zero value chooses by looking
// at it. [Options.Register] makes flags of them.
type Options struct {
	// State is the directory of the lab's records and, unless told otherwise, of its
	// storage and mirror. Empty means /var/lib/rig.
	State string
	// Store is the directory of the machines' trees; empty means /var/lib/machines if
	// that is a btrfs, else a pool below State. Driver is "btrfs", "overlay" or
	// "copy"; empty means the best that works there.
	Store, Driver string
	// Launcher is "systemd" or "direct", Network "zone" or "bridge".
	Launcher, Network string
	// Mirror is the URL of an Arch mirror, the Debian suite that the embedded one is
	// made of, or "none", which leaves it to what the base says itself. MirrorKeys is a
	// file with the keys to trust for a URL, Cache where the embedded mirror is kept.
	Mirror, MirrorKeys, Cache string
	// Base is a directory with a root to clone machines from in place of installing one.
	Base string
	// PasswordFile holds root's password of a machine that is made.
	PasswordFile string
	// NoInstall names missing system packages rather than install them.
	NoInstall bool
	// Keep leaves machines, network and storage as they are when the lab is closed.
	Keep bool

	// Shared lets other programs into the state directory once the lab is open. Each
	// has to give its machines names of their own, and a network namespace.
	Shared bool
	// Persistent has networkd's part of the network outlive a boot of the host.
	Persistent bool

	// RunDir is where machines and networks are recorded; empty means /run/rig. Labs that
	// do not share it do not know of each other's.
	RunDir string
	// Netns is the path of the network namespace to work in; empty means the caller's.
	Netns string
	// Out is where it is told what was chosen; nil is silent.
	Out io.Writer
	// Logger hears of each change to the host; nil is silent.
	Logger *slog.Logger
}

// DefaultState is where a lab is kept unless options say otherwise.
const DefaultState = "/var/lib/rig"

var drivers = map[string]func() snapshot.Driver{"btrfs": snapshot.Btrfs, "overlay": snapshot.Overlay, "copy": snapshot.Copy}

const noMirror = "none"

var suites = []string{string(archtest.Bookworm), string(archtest.Trixie), string(archtest.Sid)}

// Register makes flags of the options.
func (o *Options) Register(fs *flag.FlagSet) {
	fs.StringVar(&o.State, "state", DefaultState, "keep the lab's records and, unless told otherwise, its storage and mirror in `dir`")
	fs.StringVar(&o.Store, "store", "", "keep the machines' trees in `dir`; default: /var/lib/machines if it is a btrfs, else a pool in the state directory")
	fs.StringVar(&o.Driver, "driver", "", "keep snapshots by `way` btrfs, overlay or copy; default: the best that works in the store")
	fs.StringVar(&o.Cache, "cache", "", "keep the embedded mirror in `dir`; default: cache in the state directory")
	fs.StringVar(&o.Launcher, "launcher", "", "start machines by `way` systemd (with machined) or direct; default: systemd where it runs")
	fs.StringVar(&o.Network, "network", "", "make the network by `way` zone (of systemd-networkd) or bridge; default: zone where networkd runs")
	fs.StringVar(&o.Mirror, "mirror", "", "install from the Arch mirror at this `URL`, such as http://HOST/archlinux; default: a small mirror made of Debian packages, without internet access; bookworm, trixie or sid chooses of which, none starts no mirror")
	fs.StringVar(&o.MirrorKeys, "mirror-keys", "", "trust the OpenPGP keys in `file` for -mirror; default: those of this host's pacman")
	fs.StringVar(&o.Base, "base", "", "clone machines from the root in `dir` instead of installing one")
	fs.StringVar(&o.PasswordFile, "password-file", "", "read root's password from `file` when a machine is made; default: none, and no login by password")
	fs.BoolVar(&o.NoInstall, "no-install", false, "do not install missing system packages: name them and exit")
}

// Complete checks the options, before anything is touched, and fills in what is
// left to be chosen without looking at the host.
func (o *Options) Complete() (err error) {
	if o.State == "" {
		o.State = DefaultState
	}
	for _, dir := range []*string{&o.State, &o.Store, &o.Cache, &o.Base} {
		if *dir != "" {
			if *dir, err = filepath.Abs(*dir); err != nil {
				return err
			}
		}
	}
	if o.Cache == "" {
		o.Cache = o.ownCache()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o.validate()
}

func (o *Options) validate() error {
	errs := []error{
		cli.OneOf("launcher", o.Launcher, "systemd", "direct"),
		cli.OneOf("network", o.Network, "zone", "bridge"),
		cli.OneOf("driver", o.Driver, "btrfs", "overlay", "copy"),
		checkFile("password-file", o.PasswordFile), checkFile("mirror-keys", o.MirrorKeys), checkBase(o.Base),
	}
	if !o.realMirror() {
		errs = append(errs, cli.OneOf("mirror", o.Mirror, append(suites, noMirror, "a URL")...))
	}
	if o.MirrorKeys != "" && !o.realMirror() {
		errs = append(errs, errors.New("-mirror-keys without the URL of a -mirror"))
	}
	return errors.Join(append(errs, notTaken("state", o.State), notTaken("store", o.Store), notTaken("cache", o.Cache))...)
}

// notTaken reports why there can be no directory of the name that a flag gives.
func notTaken(flag, name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir() {
		return fmt.Errorf("-%s %s: is no directory", flag, name)
	}
	return nil
}

// checkFile reports why a flag does not name a file, if it names anything.
func checkFile(flag, name string) error {
	if name == "" {
		return nil
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", name)
	}
	if err != nil {
		return fmt.Errorf("-%s: %w", flag, err)
	}
	return nil
}

// checkBase reports why -base does not name a root, if it names anything.
func checkBase(dir string) error {
	if dir == "" {
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("-base: %w", err)
	}
	for _, release := range []string{"usr/lib/os-release", "etc/os-release"} { // what systemd-nspawn looks for
		if _, err := os.Lstat(filepath.Join(dir, release)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("-base %s is no system's root: it has neither usr/lib/os-release nor etc/os-release", dir)
}

// realMirror reports whether packages come from a URL.
func (o *Options) realMirror() bool { return strings.Contains(o.Mirror, "://") }

// ownCache is where the mirror is kept unless Cache says otherwise.
func (o *Options) ownCache() string { return filepath.Join(o.State, "cache") }

// runDir is where package kind keeps its records.
func (o *Options) runDir(kind string) string {
	if o.RunDir == "" {
		return filepath.Join("/run/rig", kind)
	}
	return filepath.Join(o.RunDir, kind)
}

// StageDir is where package stage keeps its records.
func (o *Options) StageDir() string { return filepath.Join(o.State, "stages") }

func (o *Options) say(format string, args ...any) {
	if o.Out != nil {
		fmt.Fprintf(o.Out, format+"\n", args...)
	}
}

// out is Out as a writer that is never nil.
func (o *Options) out() io.Writer {
	if o.Out == nil {
		return io.Discard
	}
	return o.Out
}
