package prolo

import (
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/prologin/rig/stage"
)

// Flags are the flags that every example has.
type Flags struct {
	Plan, Clean, Keep, Shell, Verbose, NoInstall bool

	From, Until         string
	State, Store, Cache string
	Mirror, MirrorKeys  string
	Password            string
	Launcher, Network   string
}

// ParseFlags reads the command line of the program called name, which sets up
// the machine of that name. The error is [flag.ErrHelp] after -h.
func ParseFlags(name string, args []string, out io.Writer) (*Flags, error) {
	f := new(Flags)
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(out)
	fs.BoolVar(&f.Plan, "plan", false, "print what a person would type to do the same, and do nothing; needs no root")
	fs.StringVar(&f.From, "from", "", "go back to just before this `stage` and run it and all after it again")
	fs.StringVar(&f.Until, "until", "", "stop after this `stage`")
	fs.BoolVar(&f.Keep, "keep", false, "leave the machine and its network running at the end")
	fs.BoolVar(&f.Shell, "shell", false, "open a shell in the machine at the end; press ^] three times to leave it")
	fs.BoolVar(&f.Clean, "clean", false, "remove everything that this program made on this host, and do nothing else")
	fs.BoolVar(&f.Verbose, "v", false, "show what the steps print and each change to the host")
	fs.BoolVar(&f.NoInstall, "no-install", false, "do not install missing system packages: name them and exit")
	fs.StringVar(&f.State, "state", "/var/lib/rig", "keep the lab's records and, unless told otherwise, its storage and mirror in `dir`")
	fs.StringVar(&f.Store, "store", "", "keep the machines' trees in `dir`; default: /var/lib/machines if it is a btrfs, else a pool in the state directory")
	fs.StringVar(&f.Cache, "cache", "", "keep the embedded mirror in `dir`; default: cache in the state directory")
	fs.StringVar(&f.Launcher, "launcher", "", "start machines by `way` systemd (with machined) or direct; default: systemd where it runs")
	fs.StringVar(&f.Network, "network", "", "make the network by `way` zone (of systemd-networkd) or bridge; default: zone where networkd runs")
	fs.StringVar(&f.Mirror, "mirror", "", "install from the Arch mirror at this `URL`, such as http://HOST/archlinux; default: a small mirror made of Debian packages, without internet access")
	fs.StringVar(&f.MirrorKeys, "mirror-keys", "", "trust the OpenPGP keys in `file` for -mirror; default: those of this host's pacman")
	fs.StringVar(&f.Password, "password-file", "", "read root's password from `file`; default: none, and no login by password")
	fs.Usage = func() { usage(fs, name) }
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; see %s -h", fs.Arg(0), name)
	}
	var err error
	if f.State, err = filepath.Abs(f.State); err != nil {
		return nil, err
	}
	if f.Cache == "" {
		f.Cache = f.ownCache()
	}
	if !slices.Contains([]string{"", "systemd", "direct"}, f.Launcher) {
		return nil, fmt.Errorf("-launcher %q is neither systemd nor direct; see %s -h", f.Launcher, name)
	}
	if !slices.Contains([]string{"", "zone", "bridge"}, f.Network) {
		return nil, fmt.Errorf("-network %q is neither zone nor bridge; see %s -h", f.Network, name)
	}
	if f.MirrorKeys != "" && f.Mirror == "" {
		return nil, fmt.Errorf("-mirror-keys without -mirror; see %s -h", name)
	}
	return f, nil
}

// ownCache is where the mirror is kept unless -cache says otherwise.
func (f *Flags) ownCache() string { return filepath.Join(f.State, "cache") }

// Steering is what -from and -until ask for.
func (f *Flags) Steering() stage.Steering { return stage.Steering{From: f.From, Until: f.Until} }

func usage(fs *flag.FlagSet, name string) {
	fmt.Fprintf(fs.Output(), `usage: %[1]s [flags]

Boots Prologin's machine %[1]s in a container on the private network %[2]s, sets it
up stage by stage, checks each stage and keeps a snapshot after it. Run again, it
goes on after the last stage that is still as it was; with nothing to do it
restores that stage and checks it.

  %[1]s                    set up what is new, check, power off
  %[1]s -keep              the same, and leave the machine running
  %[1]s -from STAGE        go back to just before a stage and replay from there
  %[1]s -until STAGE -shell   look around after a stage
  %[1]s -plan              how to do all this by hand
  %[1]s -clean             remove every trace

Needs root. Ctrl-C powers the machine off; the next run goes on from there.
Exit status: 0 done, 1 a step or check failed, 2 wrong usage, 3 this host cannot
do it, 130 interrupted.

`, name, Bridge)
	fs.PrintDefaults()
}
