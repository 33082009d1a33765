package real

import (
	"context"
	"errors"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
)

// machine makes an [nspawn.Machine] a [stage.Machine].
type machine struct {
	host   *nspawn.Host
	config nspawn.Config
}

var (
	_ stage.Freezer = (*machine)(nil)
	_ stage.Killer  = (*machine)(nil)
	_ stage.Binder  = (*machine)(nil)
)

func (m *machine) SetBinds(binds []stage.Bind) {
	m.config.Binds = nil
	for _, b := range binds {
		m.config.Binds = append(m.config.Binds, nspawn.Bind{Source: b.From, Target: b.To, ReadOnly: b.ReadOnly})
	}
}

func (m *machine) Start(ctx context.Context) error {
	started, err := m.host.Start(ctx, m.config)
	if err != nil {
		return err
	}
	return started.WaitReady(ctx)
}

func (m *machine) Running(ctx context.Context) (bool, error) {
	_, err := m.host.Find(ctx, m.config.Name)
	if errors.Is(err, nspawn.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (m *machine) Exec(ctx context.Context, c stage.Command) error {
	found, err := m.host.Find(ctx, m.config.Name)
	if err != nil {
		return err
	}
	cmd := found.Command(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Dir = append(cmd.Environ(), c.Env...), c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	return cmd.Run()
}

func (m *machine) Stop(ctx context.Context) error   { return m.each(ctx, (*nspawn.Machine).Stop) }
func (m *machine) Kill(ctx context.Context) error   { return m.each(ctx, (*nspawn.Machine).Kill) }
func (m *machine) Freeze(ctx context.Context) error { return m.each(ctx, (*nspawn.Machine).Freeze) }
func (m *machine) Thaw(ctx context.Context) error   { return m.each(ctx, (*nspawn.Machine).Thaw) }

// each calls f if the machine runs.
func (m *machine) each(ctx context.Context, f func(*nspawn.Machine, context.Context) error) error {
	found, err := m.host.Find(ctx, m.config.Name)
	if errors.Is(err, nspawn.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return f(found, ctx)
}
