package nspawn

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// systemd starts machines as transient units of the host's service manager.
type systemd struct{ h *Host }

// unitName is the unit of a machine. A machine's name needs no escaping in it.
func unitName(machine string) string { return "rig-" + machine + ".service" }

const machineSlice = "machine.slice"

func (s *systemd) place(name string) cgroup {
	return cgroup(s.h.mount).child(machineSlice).child(unitName(name))
}

func (s *systemd) launch(ctx context.Context, m *Machine) (*boot, error) {
	config := m.config()
	config.leaveOutMissing()
	properties, err := s.properties(m, &config)
	if err != nil {
		return nil, err
	}
	w, err := s.watch(ctx, config.Name)
	if err != nil {
		return nil, err
	}
	if err := s.prepareName(ctx, w); err != nil {
		return nil, errors.Join(err, w.bus.Close())
	}
	var job dbus.ObjectPath
	type auxiliary struct {
		Name       string
		Properties []unitProperty
	}
	err = w.bus.manager(ctx, "StartTransientUnit", unitName(config.Name), "fail", properties, []auxiliary{}).Store(&job)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start unit %s: %w", unitName(config.Name), busError(err)), w.bus.Close())
	}
	return s.newLife(ctx, m, w, 0)
}

// prepareName refuses a name that machined knows, and removes what an nspawn that
// was killed has left of it otherwise.
func (s *systemd) prepareName(ctx context.Context, w *unitWatch) error {
	leader, err := w.leader(ctx)
	if err != nil {
		return err
	}
	if leader != 0 {
		return &Error{Op: "start", Machine: w.machine, Err: ErrExists, Hint: "machined knows a machine of that name: machinectl status " + w.machine}
	}
	return removeRunDirs(w.machine)
}

// relaunch waits for the next life, which the service manager begins by itself.
func (s *systemd) relaunch(ctx context.Context, m *Machine) (*boot, error) {
	w, err := s.watch(ctx, m.Name())
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	last := m.record.Nspawn
	m.mu.Unlock()
	return s.newLife(ctx, m, w, last)
}

func (s *systemd) rejoin(ctx context.Context, m *Machine) (*boot, error) {
	w, err := s.watch(ctx, m.Name())
	if err != nil {
		return nil, err
	}
	b, err := s.newLife(ctx, m, w, 0)
	if err != nil {
		return nil, err
	}
	if err := b.awaitKnown(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// awaitKnown blocks until the first process is known, and fails with ErrNotFound if nspawn
// ends before. Nobody else may look for its end.
func (b *boot) awaitKnown(ctx context.Context) error {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan error, 1)
	go func() { over <- b.nspawn.wait(waiting) }()
	select {
	case <-b.known:
		stop()
		<-over
		return nil
	case err := <-over:
		if err == nil {
			err = ErrNotFound
		}
		return err
	}
}

// newLife waits until nspawn runs, and is no longer the last life's, and follows
// it from there.
func (s *systemd) newLife(ctx context.Context, m *Machine, w *unitWatch, last int) (*boot, error) {
	b, err := s.awaitLife(ctx, m, w, last)
	if err != nil {
		return nil, errors.Join(err, w.bus.Close())
	}
	return b, nil
}

func (s *systemd) awaitLife(ctx context.Context, m *Machine, w *unitWatch, last int) (*boot, error) {
	for {
		state, err := w.state(ctx)
		if err != nil {
			return nil, err
		}
		if state.mainPID != 0 && state.mainPID != last {
			b, err := s.follow(ctx, m, w, state)
			if !errors.Is(err, unix.ESRCH) {
				return b, err
			}
			last = state.mainPID // it has ended, of which the service manager will tell
		}
		if state.ended() {
			return nil, &unseenLife{unit: w.unit, result: state.result, began: state.began, status: state.exitStatus()}
		}
		if err := w.await(ctx); err != nil {
			return nil, err
		}
	}
}

// unseenLife is a machine that has ended before this program saw it run.
type unseenLife struct {
	unit, result string
	began        bool
	status       ExitStatus
}

func (u *unseenLife) Error() string {
	return fmt.Sprintf("unit %s has ended before it was seen to run: %s, status %d", u.unit, orDefault(u.result, "not known how"), u.status.Code)
}

// follow makes a boot of a running unit and keeps it up to date.
func (s *systemd) follow(ctx context.Context, m *Machine, w *unitWatch, state unitState) (*boot, error) {
	b := newBoot()
	var err error
	if b.nspawn, err = openPidfd(state.mainPID); err != nil {
		return nil, err
	}
	following, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	stop := func() {
		cancel()
		<-stopped
	}
	b.reap = func() ExitStatus {
		stop()
		return m.endOf(b, w)
	}
	b.release = func() {
		stop()
		w.bus.Close()
	}
	if err := s.take(ctx, m, w, state); err != nil {
		cancel()
		return nil, errors.Join(err, b.nspawn.Close())
	}
	m.mu.Lock()
	m.boot = b
	m.mu.Unlock()
	go func() {
		defer close(stopped)
		w.follow(following, func(n notification) { m.notified(b, n) })
	}()
	return b, nil
}

// take writes down where a running unit is, and keeps it if the machine is ours to
// supervise.
func (s *systemd) take(ctx context.Context, m *Machine, w *unitWatch, state unitState) error {
	err := m.saveRecord(func(r *record) {
		r.Nspawn = state.mainPID
		if state.cgroup != "" {
			r.Cgroup = cgroup(filepath.Join(s.h.mount, state.cgroup))
		}
	})
	if err == nil && m.lock != nil {
		err = w.ref(ctx)
	}
	return err
}

// endOf is how a boot that is over has ended. That it had begun may be news.
func (m *Machine) endOf(b *boot, w *unitWatch) ExitStatus {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
	defer cancel()
	status, began := w.end(ctx, b.nspawn)
	if began && !isClosed(b.known) {
		m.tell(EventStarted, ExitStatus{})
		close(b.known)
	}
	return status
}

// alive asks the service manager, since machines reboot while nobody of ours
// looks.
func (s *systemd) alive(ctx context.Context, rec *record) (bool, error) {
	if rec.BootID != bootID() {
		return false, nil
	}
	bus, err := openBus(ctx)
	if err != nil {
		return false, err
	}
	defer bus.Close()
	w := &unitWatch{bus: bus, machine: rec.Config.Name, unit: unitName(rec.Config.Name)}
	state, err := w.state(ctx)
	if err != nil || state.ended() || state.mainPID == 0 || !state.belongsTo(s.h) {
		return false, err
	}
	leader, err := w.leader(ctx)
	if err != nil || leader == 0 {
		return false, err
	}
	if leader != rec.Leader {
		rec.Phase = phaseRunning
	}
	rec.Nspawn, rec.Leader = state.mainPID, leader
	return true, nil
}

// clean stops the unit, and waits until systemd and machined have forgotten it: a
// machine of that name can be started at once.
func (s *systemd) clean(ctx context.Context, rec *record) error {
	w, err := s.watch(ctx, rec.Config.Name)
	if err != nil {
		return err
	}
	defer w.bus.Close()
	for asked := false; ; {
		state, err := w.state(ctx)
		if err != nil {
			return err
		}
		if state.loaded && !state.belongsTo(s.h) {
			return nil // the unit of another state directory's machine
		}
		leader, err := w.leader(ctx)
		if err != nil {
			return err
		}
		if !state.loaded && leader == 0 {
			return removeRunDirs(rec.Config.Name)
		}
		if !asked {
			asked = true
			if err := rec.Cgroup.kill(); err != nil {
				return err
			}
			_ = w.bus.manager(ctx, "StopUnit", w.unit, "replace").Err
		}
		if state.active == "failed" {
			_ = w.bus.manager(ctx, "ResetFailedUnit", w.unit).Err
		}
		if err := w.await(ctx); err != nil {
			return fmt.Errorf("unit %s does not go: %w", w.unit, err)
		}
	}
}

// removeRunDirs removes what an nspawn that was killed leaves in runDir, and the
// next one of that name would refuse to start over.
func removeRunDirs(machine string) error {
	var errs []error
	for _, dir := range []string{"unix-export", "propagate"} {
		path := filepath.Join(runDir, dir, machine)
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", path, err))
		}
		if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// busError makes our sentinels of what the service manager says.
func busError(err error) error {
	switch dbusErrorName(err) {
	case systemdName + ".UnitExists":
		return fmt.Errorf("%w: %w", ErrExists, err)
	case systemdName + ".NoSuchUnit", "org.freedesktop.machine1.NoSuchMachine":
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
