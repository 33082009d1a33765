package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prologin/rig/internal/intree"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
)

// machine makes an [nspawn.Machine], which lives from boot to power-off, a
// [stage.Machine], which is booted and stopped again and again.
type machine struct {
	*Machine
	lab   *Lab
	binds []stage.Bind
}

// SetBinds says what of the host the machine sees from its next start on.
func (m *machine) SetBinds(binds []stage.Bind) { m.binds = binds }

func (l *Lab) machine(m *Machine) *machine { return &machine{Machine: m, lab: l} }

// root is the directory that a machine boots from.
func (l *Lab) root(m *Machine) (string, error) {
	if m.Boots == nil {
		return filepath.Join(l.StoreDir(), m.Name), nil
	}
	return resolve(filepath.Join(l.StoreDir(), m.Boots.Machine), m.Boots.Path)
}

// resolve returns the host's path of a directory of a tree, to which links are
// followed as in the tree.
func resolve(tree, dir string) (string, error) {
	t, err := intree.Open(tree)
	if err != nil {
		return "", err
	}
	defer t.Close()
	found, _, err := t.Parent(dir + "/x")
	if err != nil {
		return "", err
	}
	defer found.Close()
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", found.Fd()))
}

// find returns the machine if it runs, and nil if it does not.
func (m *machine) find(ctx context.Context) (*nspawn.Machine, error) {
	found, err := m.lab.host.Find(ctx, m.Name)
	if errors.Is(err, nspawn.ErrNotFound) {
		return nil, nil
	}
	return found, err
}

// Start boots the machine. One that boots from another's tree is left for when it is
// used: only then is that tree sure to be there.
func (m *machine) Start(ctx context.Context) error {
	if m.Boots != nil {
		return nil
	}
	return m.boot(ctx)
}

func (m *machine) boot(ctx context.Context) error {
	if err := m.announce(ctx); err != nil {
		return err
	}
	root, err := m.lab.root(m.Machine)
	if err != nil {
		return err
	}
	config := m.lab.config(m.Machine, root, m.lab.zoned)
	config.Binds = slices.Clone(config.Binds)
	for _, b := range m.binds {
		config.Binds = append(config.Binds, nspawn.Bind{Source: b.From, Target: b.To, ReadOnly: b.ReadOnly})
	}
	started, err := m.lab.host.Start(ctx, config)
	if err != nil {
		return err
	}
	if err := m.lab.wired(ctx); err != nil {
		return err
	}
	if err := m.settle(ctx, started, config.Network.MAC); err != nil {
		return err
	}
	m.lab.came(m.Name)
	return nil
}

// settle waits until the machine is ready, and meanwhile asks whether others have its
// addresses: then it is killed, so that nobody takes it for them.
func (m *machine) settle(ctx context.Context, started *nspawn.Machine, mac net.HardwareAddr) error {
	if len(m.Addresses) == 0 {
		return started.WaitReady(ctx)
	}
	booting, failed := errgroup.WithContext(ctx)
	asking, ready := context.WithCancel(failed)
	booting.Go(func() error {
		defer ready()
		return started.WaitReady(failed)
	})
	booting.Go(func() error { return conflict(asking, m.lab.Netns, m.lab.Bridge(), m.Addresses, mac) })
	err := booting.Wait()
	if taken := (*TakenError)(nil); errors.As(err, &taken) {
		taken.Machine = m.Name
		return &HostError{errors.Join(err, started.Kill(context.WithoutCancel(ctx)))}
	}
	return err
}

// afterPatience is how long a machine is waited for that has to be up before another.
const afterPatience = time.Minute

// announce waits for the machine that has to be up before this one and tells it.
func (m *machine) announce(ctx context.Context) error {
	if m.After == "" {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, afterPatience, fmt.Errorf("%s is not up after %v", m.After, afterPatience))
	defer cancel()
	select {
	case <-m.lab.upOf(m.After):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if m.Announce == nil {
		return nil
	}
	return m.Announce(ctx, m.lab.machine(m.lab.Config.machine(m.After)).Exec)
}

func (m *machine) Running(ctx context.Context) (bool, error) {
	found, err := m.find(ctx)
	if err != nil || found == nil {
		return m.Boots != nil && err == nil, err
	}
	m.lab.came(m.Name)
	return true, m.lab.wired(ctx)
}

func (m *machine) Exec(ctx context.Context, c stage.Command) error {
	found, err := m.find(ctx)
	if err == nil && found == nil && m.Boots != nil {
		err = m.bootDiskless(ctx)
	}
	if err == nil && found == nil {
		found, err = m.lab.host.Find(ctx, m.Name)
	}
	if err != nil {
		return err
	}
	cmd := found.Command(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Dir = append(cmd.Environ(), c.Env...), c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	return cmd.Run()
}

// bootDiskless boots a machine from the tree of another, which has to be up, or waits for
// whoever boots it already.
func (m *machine) bootDiskless(ctx context.Context) error {
	select {
	case <-m.lab.upOf(m.Boots.Machine):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := m.boot(ctx)
	if !errors.Is(err, nspawn.ErrExists) {
		return err
	}
	found, err := m.lab.host.Find(ctx, m.Name)
	if err != nil {
		return err
	}
	return found.WaitReady(ctx)
}

func (m *machine) Stop(ctx context.Context) error { return m.end(ctx, (*nspawn.Machine).Stop) }
func (m *machine) Kill(ctx context.Context) error { return m.end(ctx, (*nspawn.Machine).Kill) }

// end ends the machine, after those that boot from its tree.
func (m *machine) end(ctx context.Context, f func(*nspawn.Machine, context.Context) error) error {
	var errs []error
	for i := range m.lab.Machines {
		if other := &m.lab.Machines[i]; other.Boots != nil && other.Boots.Machine == m.Name {
			errs = append(errs, m.lab.machine(other).each(ctx, f))
		}
	}
	m.lab.went(m.Name)
	return errors.Join(append(errs, m.each(ctx, f))...)
}

func (m *machine) Freeze(ctx context.Context) error { return m.each(ctx, (*nspawn.Machine).Freeze) }
func (m *machine) Thaw(ctx context.Context) error   { return m.each(ctx, (*nspawn.Machine).Thaw) }

// each calls f if the machine runs.
func (m *machine) each(ctx context.Context, f func(*nspawn.Machine, context.Context) error) error {
	found, err := m.find(ctx)
	if found == nil || err != nil {
		return err
	}
	return f(found, ctx)
}

// upOf returns the channel that is closed once the machine is up.
func (l *Lab) upOf(name string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up[name] == nil {
		l.up[name] = make(chan struct{})
	}
	return l.up[name]
}

func (l *Lab) came(name string) {
	up := l.upOf(name)
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-up:
	default:
		close(up)
	}
}

func (l *Lab) went(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if up := l.up[name]; up != nil {
		select {
		case <-up:
			delete(l.up, name)
		default:
		}
	}
}
