package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
)

// Lab is what machines live on: storage, a network, a launcher and a source of
// packages. Its methods may be called concurrently.
type Lab struct {
	Config
	Options

	net    *netsetup.Host
	host   *nspawn.Host
	store  *snapshot.Store
	source archboot.Config  // Config.Base with its repositories
	mirror *archtest.Mirror // the embedded one, if it is in use

	password []byte // what PasswordFile holds

	zoned bool // networkd makes the bridge

	mu     sync.Mutex
	served bool                     // the mirror listens on the bridge
	up     map[string]chan struct{} // closed once the machine of that name is there

	undo []func(context.Context) error
}

// ErrNotRoot says that making a lab needs root.
var ErrNotRoot = errors.New("must run as root: try it with sudo")

// Open makes the lab, in the order in which a host is likely to refuse: nothing lasting is
// made before all that can be in the way has been looked at. It needs root, installs
// missing system packages unless NoInstall is set, and blocks until ctx ends while another
// program has the lab. A first time takes a minute, for the mirror. All errors but those of
// [Options.Complete] are a *[HostError]. The lab must be closed.
func Open(ctx context.Context, c Config, o Options) (_ *Lab, err error) {
	l, err := newLab(c, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = &HostError{errors.Join(err, l.Close(ctx))}
		}
	}()
	if err := syspkg.Ensure(ctx, l.out(), !o.NoInstall, l.needs()); err != nil {
		return nil, err
	}
	steps := []func(context.Context) error{l.readPassword, l.lock, l.recall, l.openHost, l.checkNames, l.remember, l.openNetwork, l.openStore, l.openPackages}
	if l.Shared {
		steps = append(steps, l.share)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// share makes the base while nobody else can, and then lets others in.
func (l *Lab) share(ctx context.Context) error {
	if _, err := l.base(ctx); err != nil {
		return err
	}
	unlock := l.undo[0] // what lock left
	l.undo = l.undo[1:]
	return unlock(ctx)
}

func newLab(c Config, o Options) (*Lab, error) {
	l := &Lab{Config: c, Options: o, up: map[string]chan struct{}{}}
	if err := l.Options.Complete(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, &HostError{ErrNotRoot}
	}
	return l, nil
}

// needs lists the system packages of what the options choose.
func (l *Lab) needs() []syspkg.Need {
	needs := append(syspkg.Lab(), l.Needs...)
	if l.Options.Base == "" {
		needs = append(needs, syspkg.Bootstrap()...)
	}
	if l.embedded() && !archtest.Cached(l.mirrorOptions()) {
		needs = append(needs, syspkg.Mirror()...)
	}
	return needs
}

func (l *Lab) openHost(ctx context.Context) error {
	host, err := nspawn.Open(ctx, nspawn.HostOptions{
		StateDir: l.runDir("nspawn"), Launcher: nspawn.Launcher(l.Launcher), Netns: l.Netns, Logger: l.Logger,
	})
	if err != nil {
		return err
	}
	l.onClose(func(context.Context) error { return host.Close() })
	l.host = host
	if host.Launcher() == nspawn.LauncherSystemd {
		l.say("launcher: systemd, machines are registered with machined; -launcher direct does without")
	} else {
		l.say("launcher: direct, our own supervised systemd-nspawn; -launcher systemd registers with machined")
	}
	_, err = host.Sweep(ctx)
	return err
}

// checkNames refuses machines of our names that do not run from our trees.
func (l *Lab) checkNames(ctx context.Context) error {
	for i := range l.Machines {
		if err := l.checkName(ctx, &l.Machines[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) checkName(ctx context.Context, m *Machine) error {
	running, err := l.host.Find(ctx, m.Name)
	if errors.Is(err, nspawn.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	root, err := l.root(m)
	if err == nil && root == running.Root() { // perhaps of a pool that is not mounted any more
		return nil
	}
	theirs, _ := os.Stat(running.Root())
	if ours, statErr := os.Stat(root); err == nil && statErr == nil && os.SameFile(ours, theirs) {
		return nil
	}
	return fmt.Errorf("a machine named %s runs already, from %s: stop it first", m.Name, running.Root())
}

// Find returns the machine of that name, which matches [nspawn.ErrNotFound] where it
// does not run.
func (l *Lab) Find(ctx context.Context, name string) (*nspawn.Machine, error) {
	return l.host.Find(ctx, name)
}

func (l *Lab) onClose(f func(context.Context) error) { l.undo = append(l.undo, f) }

// closePatience is how long machines that will not power off may hold us up, and all the
// rest once more.
const closePatience = time.Minute

// Close stops the machines and undoes what Open made, but for what Keep is to leave
// and what the next run goes on from. It does so also when ctx has ended.
func (l *Lab) Close(ctx context.Context) error {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	var errs []error
	if l.host != nil && l.net != nil && !l.Keep {
		errs = append(errs, l.each(func(m *machine) error { return m.Stop(stopping) })) // they use all the rest
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	for _, f := range slices.Backward(l.undo) {
		errs = append(errs, f(ctx))
	}
	l.undo = nil
	return errors.Join(errs...)
}

// each calls f for all machines side by side, for those first that boot from the
// tree of another.
func (l *Lab) each(f func(*machine) error) error {
	errs := make([]error, len(l.Machines))
	for _, diskless := range []bool{true, false} {
		var machines sync.WaitGroup
		for i := range l.Machines {
			if m := &l.Machines[i]; (m.Boots != nil) == diskless {
				machines.Go(func() { errs[i] = f(l.machine(m)) })
			}
		}
		machines.Wait()
	}
	return errors.Join(errs...)
}
