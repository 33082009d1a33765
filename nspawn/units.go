package nspawn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

// Unit is a unit of a machine's service manager. Its methods talk over the
// machine's bus and wait until that is up.
type Unit struct {
	machine *Machine
	name    string
}

// UnitState is what a unit says of itself, in systemd's words.
type UnitState struct {
	Name        string
	Description string
	Load        string // "loaded", "not-found", "masked", …
	Active      string // "active", "activating", "inactive", "failed", …
	Sub         string // depends on the type: "running", "exited", "dead", …
	Result      string // of a service: "success", "exit-code", "signal", …
	MainPID     int    // of a service, as the machine counts; 0 if it has none
}

// Unit refers to a unit by its name, such as "nginx.service"; a name without a
// suffix is a service. Nothing is looked up yet.
func (m *Machine) Unit(name string) *Unit {
	if !strings.Contains(name, ".") {
		name += ".service"
	}
	return &Unit{machine: m, name: name}
}

// Name is the unit's name with its suffix.
func (u *Unit) Name() string { return u.name }

// State reads the unit's present state. That of an unknown unit has the Load
// "not-found" and is no error.
func (u *Unit) State(ctx context.Context) (s UnitState, err error) {
	err = u.machine.withBus(ctx, "read the state of "+u.name, func(b *bus) error {
		s, err = u.state(ctx, b)
		return err
	})
	return s, err
}

func (u *Unit) state(ctx context.Context, b *bus) (UnitState, error) {
	path := unitPath(u.name)
	all, err := b.properties(ctx, path, unitIface, "Description", "LoadState", "ActiveState", "SubState")
	if err != nil {
		return UnitState{}, err
	}
	s := UnitState{
		Name: u.name, Description: property[string](all, "Description"), Load: property[string](all, "LoadState"),
		Active: property[string](all, "ActiveState"), Sub: property[string](all, "SubState"),
	}
	if strings.HasSuffix(u.name, ".service") {
		service, err := b.properties(ctx, path, serviceIface, "Result", "MainPID")
		if err != nil {
			return UnitState{}, err
		}
		s.Result, s.MainPID = property[string](service, "Result"), int(property[uint32](service, "MainPID"))
	}
	return s, nil
}

// Start starts the unit and waits for the result, as systemctl does. A unit that
// does not exist matches ErrNotFound.
func (u *Unit) Start(ctx context.Context) error { return u.job(ctx, "start", "StartUnit") }

// Stop stops the unit and waits until it has ended.
func (u *Unit) Stop(ctx context.Context) error { return u.job(ctx, "stop", "StopUnit") }

// Restart stops the unit if it runs, starts it and waits for the result.
func (u *Unit) Restart(ctx context.Context) error { return u.job(ctx, "restart", "RestartUnit") }

// Reload makes the unit read its configuration anew, if it can.
func (u *Unit) Reload(ctx context.Context) error { return u.job(ctx, "reload", "ReloadUnit") }

// Enable makes the unit start with the machine; it does not start it now.
func (u *Unit) Enable(ctx context.Context) error {
	return u.files(ctx, "enable", "EnableUnitFiles", []string{u.name}, false, true)
}

// Disable undoes Enable; it does not stop the unit.
func (u *Unit) Disable(ctx context.Context) error {
	return u.files(ctx, "disable", "DisableUnitFiles", []string{u.name}, false)
}

// Mask makes it impossible to start the unit; it does not stop it.
func (u *Unit) Mask(ctx context.Context) error {
	return u.files(ctx, "mask", "MaskUnitFiles", []string{u.name}, false, true)
}

// Unmask undoes Mask.
func (u *Unit) Unmask(ctx context.Context) error {
	return u.files(ctx, "unmask", "UnmaskUnitFiles", []string{u.name}, false)
}

// files changes links to unit files and makes the manager see it.
func (u *Unit) files(ctx context.Context, op, method string, args ...any) error {
	return u.machine.withBus(ctx, op+" "+u.name, func(b *bus) error {
		if err := b.manager(ctx, method, args...).Err; err != nil {
			return err
		}
		return b.manager(ctx, "Reload").Err
	})
}

// WaitActive blocks until the unit is active, without asking again and again.
// It fails at once if the unit has failed or does not exist.
func (u *Unit) WaitActive(ctx context.Context) error {
	return u.Wait(ctx, func(s UnitState) (bool, error) {
		if s.Active == "failed" || s.Load == "masked" {
			return false, fmt.Errorf("the unit is %s (%s)", orDefault(s.Result, s.Load), s.Active)
		}
		if s.Load == "not-found" {
			return false, ErrNotFound
		}
		return s.Active == "active", nil
	})
}

// Wait blocks until a condition on the unit's state holds or fails. It is looked
// at now, and again with each change that systemd signals.
func (u *Unit) Wait(ctx context.Context, until func(UnitState) (bool, error)) error {
	return u.explain(u.machine.withBus(ctx, "wait for "+u.name, func(b *bus) error {
		changed, err := b.subscribe(ctx, unitPath(u.name))
		if err != nil {
			return err
		}
		for {
			state, err := u.state(ctx, b)
			if err != nil {
				return err
			}
			if done, err := until(state); done || err != nil {
				return err
			}
			select {
			case _, open := <-changed:
				if !open {
					return ErrNotRunning
				}
			case <-ctx.Done():
				return fmt.Errorf("it is %s (%s): %w", state.Active, state.Sub, context.Cause(ctx))
			}
		}
	}))
}

// explain adds what the unit has written last to an error about it.
func (u *Unit) explain(err error) error {
	var known *Error
	if errors.As(err, &known) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotRunning) {
		ctx, cancel := context.WithTimeout(context.Background(), reportPatience)
		defer cancel()
		known.Journal = u.machine.journalTail(ctx, JournalOptions{Unit: u.name, Lines: journalLines, ThisBoot: true})
	}
	return err
}

// job queues a job for the unit and waits for its result.
func (u *Unit) job(ctx context.Context, op, method string) error {
	return u.explain(u.machine.withBus(ctx, op+" "+u.name, func(b *bus) error {
		removed, err := b.jobs(ctx)
		if err != nil {
			return err
		}
		var job dbus.ObjectPath
		if err := b.manager(ctx, method, u.name, "replace").Store(&job); err != nil {
			return err
		}
		result, err := awaitJob(ctx, removed, job)
		if err != nil || result == "done" {
			return err
		}
		state, err := u.state(ctx, b)
		return errors.Join(fmt.Errorf("the job's result is %q; the unit is %s (%s)", result, state.Active, orDefault(state.Result, state.Load)), err)
	}))
}

// jobs makes the ends of jobs arrive on a channel. Each that is not taken costs a
// goroutine until the connection is closed or forgets the channel.
func (b *bus) jobs(ctx context.Context) (chan *dbus.Signal, error) {
	if err := b.wantSignals(ctx); err != nil {
		return nil, err
	}
	err := b.conn.AddMatchSignalContext(ctx, dbus.WithMatchObjectPath(systemdPath),
		dbus.WithMatchInterface(managerIface), dbus.WithMatchMember("JobRemoved"))
	if err != nil {
		return nil, err
	}
	removed := make(chan *dbus.Signal, 64)
	b.conn.Signal(removed)
	return removed, nil
}

// awaitJob waits for the end of one job and returns its result.
func awaitJob(ctx context.Context, removed <-chan *dbus.Signal, job dbus.ObjectPath) (result string, err error) {
	for {
		select {
		case signal, open := <-removed:
			if !open {
				return "", ErrNotRunning
			}
			if len(signal.Body) == 4 && signal.Body[1] == job {
				result, _ = signal.Body[3].(string)
				return result, nil
			}
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// SystemState is the state of the machine's service manager as a whole:
// "running", "degraded" when units have failed, "starting", "maintenance", ….
func (m *Machine) SystemState(ctx context.Context) (state string, err error) {
	err = m.withBus(ctx, "read the system state", func(b *bus) error {
		all, err := b.properties(ctx, systemdPath, managerIface, "SystemState")
		state = property[string](all, "SystemState")
		return err
	})
	return state, err
}

// FailedUnits lists the machine's units that have failed.
func (m *Machine) FailedUnits(ctx context.Context) (failed []UnitState, err error) {
	err = m.withBus(ctx, "list the failed units", func(b *bus) error {
		var units []listedUnit
		if err := b.manager(ctx, "ListUnitsFiltered", []string{"failed"}).Store(&units); err != nil {
			return err
		}
		for _, u := range units {
			failed = append(failed, UnitState{Name: u.Name, Description: u.Description, Load: u.Load, Active: u.Active, Sub: u.Sub})
		}
		return nil
	})
	return failed, err
}
