package nspawn

import (
	"context"
	"errors"
	"slices"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// unitWatch follows a machine's unit by the signals of systemd and machined.
type unitWatch struct {
	bus     *bus
	machine string
	unit    string
	changed <-chan struct{}
}

// unitState is what a unit says of itself.
type unitState struct {
	loaded  bool
	active  string // ActiveState
	result  string
	cgroup  string
	mainPID int
	job     bool // whether something is still to be done to it
	code    int32
	status  int32
	env     []string
}

// ownerVar tells in a unit's environment whose machine it is.
const ownerVar = "RIG_STATE_DIR"

// belongsTo reports whether a unit was started from the host's state directory.
func (s *unitState) belongsTo(h *Host) bool {
	return slices.Contains(s.env, ownerVar+"="+h.options.StateDir)
}

// ended reports whether the unit will not run again by itself.
func (s *unitState) ended() bool {
	return !s.job && (!s.loaded || s.active == "inactive" || s.active == "failed")
}

func (s *systemd) watch(ctx context.Context, machine string) (*unitWatch, error) {
	bus, err := openBus(ctx)
	if err != nil {
		return nil, err
	}
	w := &unitWatch{bus: bus, machine: machine, unit: unitName(machine)}
	if w.changed, err = bus.subscribe(ctx, unitPath(w.unit)); err != nil {
		return nil, errors.Join(err, bus.Close())
	}
	return w, nil
}

// await blocks until something may have changed.
func (w *unitWatch) await(ctx context.Context) error {
	select {
	case _, open := <-w.changed:
		if !open {
			return dbus.ErrClosed
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// state reads the unit's properties.
func (w *unitWatch) state(ctx context.Context) (s unitState, err error) {
	unit, err := w.bus.properties(ctx, unitPath(w.unit), unitIface, "LoadState", "ActiveState", "Job")
	if err != nil {
		return s, err
	}
	s.loaded = property[string](unit, "LoadState") == "loaded"
	s.active = property[string](unit, "ActiveState")
	if job := property[[]any](unit, "Job"); len(job) == 2 {
		id, _ := job[0].(uint32)
		s.job = id != 0
	}
	if !s.loaded {
		return s, nil
	}
	service, err := w.bus.properties(ctx, unitPath(w.unit), serviceIface,
		"MainPID", "Result", "ControlGroup", "Environment", "ExecMainCode", "ExecMainStatus")
	if err != nil {
		return s, err
	}
	s.mainPID = int(property[uint32](service, "MainPID"))
	s.result, s.cgroup = property[string](service, "Result"), property[string](service, "ControlGroup")
	s.env = property[[]string](service, "Environment")
	s.code, s.status = property[int32](service, "ExecMainCode"), property[int32](service, "ExecMainStatus")
	return s, nil
}

// leader asks machined for the machine's first process; 0 if it knows none.
func (w *unitWatch) leader(ctx context.Context) (int, error) {
	var path dbus.ObjectPath
	manager := w.bus.conn.Object(machineName, machinePath)
	err := manager.CallWithContext(ctx, machineName+".Manager.GetMachine", 0, w.machine).Store(&path)
	if err == nil {
		var leader dbus.Variant
		object := w.bus.conn.Object(machineName, path)
		err = object.CallWithContext(ctx, propsIface+".Get", 0, machineName+".Machine", "Leader").Store(&leader)
		if pid, ok := leader.Value().(uint32); ok {
			return int(pid), nil
		}
	}
	switch dbusErrorName(err) {
	case machineName + ".NoSuchMachine", "org.freedesktop.DBus.Error.UnknownObject":
		return 0, nil
	}
	return 0, err
}

// follow tells of the leader and of readiness, until there is no more to tell or the
// connection is closed.
func (w *unitWatch) follow(tell func(notification)) {
	ctx := context.Background()
	for leader := 0; ; {
		n := notification{}
		if leader == 0 {
			leader, _ = w.leader(ctx)
			n.leader = leader
		}
		unit, err := w.bus.properties(ctx, unitPath(w.unit), unitIface, "ActiveState")
		n.ready = err == nil && property[string](unit, "ActiveState") == "active"
		tell(n)
		if n.ready && leader != 0 || w.await(ctx) != nil {
			return
		}
	}
}

// exitStatus is how an nspawn has ended, as the kernel tells or the unit kept it.
func (w *unitWatch) exitStatus(nspawn *pidfd) ExitStatus {
	if status := nspawn.status(); status != (ExitStatus{Code: -1}) {
		return status
	}
	state, err := w.state(context.Background())
	if err != nil || state.mainPID == nspawn.pid {
		return ExitStatus{Code: -1}
	}
	if state.code != cldExited {
		return ExitStatus{Code: -1, Signal: unix.Signal(state.status)}
	}
	return ExitStatus{Code: int(state.status)}
}
