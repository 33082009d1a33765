package prolo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/internal/syspkg"
	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// Lab is what machines live on: storage, a network, a launcher and a source of
// packages.
type Lab struct {
	*Flags
	setup stage.Setup
	out   *os.File
	log   *slog.Logger

	net    *netsetup.Host
	host   *nspawn.Host
	store  *snapshot.Store
	source archboot.Config
	mirror *archtest.Mirror // the embedded one, if it is in use

	zoned  bool // networkd makes the bridge
	served bool // the mirror listens on the bridge

	stop func(context.Context) error // of the machine, unless it is to stay
	undo []func(context.Context) error
}

// Open makes the lab, in the order in which a host is likely to refuse: nothing
// lasting is made before all that can be in the way has been looked at.
func Open(ctx context.Context, f *Flags, setup stage.Setup, out *os.File) (_ *Lab, err error) {
	l := &Lab{Flags: f, setup: setup, out: out, log: logger(f, out)}
	if err := f.checkStages(setup); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(&hostError{err}, l.close(ctx))
		}
	}()
	if os.Geteuid() != 0 {
		return nil, errNotRoot
	}
	needs := slices.Concat(syspkg.Lab(), syspkg.Bootstrap())
	if f.Mirror == "" {
		needs = append(needs, syspkg.Mirror()...)
	}
	if err := syspkg.Ensure(ctx, out, !f.NoInstall, needs); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{l.lock, l.openHost, l.openNetwork, l.openStore, l.openPackages} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *Lab) openHost(ctx context.Context) error {
	host, err := nspawn.Open(ctx, nspawn.HostOptions{Launcher: nspawn.Launcher(l.Launcher), Logger: l.log})
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
	if _, err := host.Sweep(ctx); err != nil {
		return err
	}
	if err := l.checkName(ctx); err != nil {
		return err
	}
	if !l.Keep {
		l.stop = l.machine(l.setup.Machine).Stop
	}
	return nil
}

// checkName refuses a machine of our name that does not run from our tree.
func (l *Lab) checkName(ctx context.Context) error {
	running, err := l.host.Find(ctx, l.setup.Machine)
	if errors.Is(err, nspawn.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	theirs, _ := os.Stat(running.Root())
	ours, err := os.Stat(filepath.Join(l.storeDir(), running.Name()))
	if err != nil || !os.SameFile(ours, theirs) {
		return fmt.Errorf("a machine named %s runs already, from %s: stop it first", running.Name(), running.Root())
	}
	return nil
}

// machinesDir is where systemd keeps machines.
const machinesDir = "/var/lib/machines"

// poolSize is what a pool may grow to. The file is sparse: a lab of one machine
// takes less than 1 GiB of it.
const poolSize = 16 << 30

// storeDir is where the machines' trees are, or will be.
func (f *Flags) storeDir() string {
	switch {
	case f.Store != "":
		return f.Store
	case isBtrfs(machinesDir):
		return machinesDir
	}
	return f.poolDir()
}

func (l *Lab) openStore(ctx context.Context) (err error) {
	dir := l.storeDir()
	if dir == l.poolDir() {
		l.say("storage:  a btrfs pool in %s, since %s is none; -store DIR chooses another", l.poolFile(), machinesDir)
		err = l.openPool(ctx)
	} else {
		l.say("storage:  %s; -store DIR chooses another", dir)
	}
	if err != nil {
		return err
	}
	l.store, err = snapshot.Open(ctx, dir, snapshot.Options{Logger: l.log})
	if err != nil {
		return err
	}
	l.onClose(func(context.Context) error { return l.store.Close() })
	return nil
}

func (f *Flags) poolFile() string { return filepath.Join(f.State, "pool.btrfs") }
func (f *Flags) poolDir() string  { return filepath.Join(f.State, "machines") }

func (l *Lab) openPool(ctx context.Context) error {
	pool, err := snapshot.OpenPool(ctx, l.poolFile(), l.poolDir())
	if errors.Is(err, snapshot.ErrNotFound) {
		pool, err = snapshot.CreatePool(ctx, l.poolFile(), poolSize, l.poolDir())
	}
	if err == nil && !l.Keep {
		l.onClose(func(context.Context) error { return pool.Close() })
	}
	return err
}

func isBtrfs(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.BTRFS_SUPER_MAGIC
}

func (l *Lab) onClose(f func(context.Context) error) { l.undo = append(l.undo, f) }

// Close stops the machines and undoes what Open made, but for what -keep is to
// leave and what the next run goes on from.
func (l *Lab) Close(ctx context.Context) error { return l.close(ctx) }

// closePatience is how long a machine that will not power off may hold us up.
const closePatience = time.Minute

func (l *Lab) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	var errs []error
	if l.stop != nil {
		errs = append(errs, l.stop(ctx)) // first: it uses all the rest
	}
	for _, f := range slices.Backward(l.undo) {
		errs = append(errs, f(ctx))
	}
	l.undo = nil
	return errors.Join(errs...)
}

func (l *Lab) say(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }

// logger tells of each change to the host where -v is given.
func logger(f *Flags, out *os.File) *slog.Logger {
	if !f.Verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(out, nil))
}
