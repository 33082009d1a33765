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
	began   bool   // whether it has ever been active
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

// changing reports whether the unit will be something else in a moment: what has
// ended and has a job is restarted, or stopped once more.
func (s *unitState) changing() bool {
	return s.active == "deactivating" || s.job && (s.active == "inactive" || s.active == "failed")
}

// exitStatus is how the unit's process has ended.
func (s *unitState) exitStatus() ExitStatus {
	if s.code != cldExited {
		return ExitStatus{Code: -1, Signal: unix.Signal(s.status)}
	}
	return ExitStatus{Code: int(s.status)}
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

// ref keeps the unit, and how it ended, until the connection is closed.
func (w *unitWatch) ref(ctx context.Context) error {
	return w.bus.manager(ctx, "RefUnit", w.unit).Err
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
	// While it restarts, the unit is inactive for a moment, but with a job.
	unit, err := w.bus.allProperties(ctx, unitPath(w.unit), unitIface)
	if err != nil {
		return s, err
	}
	s.loaded = property[string](unit, "LoadState") == "loaded"
	s.active = property[string](unit, "ActiveState")
	s.began = property[uint64](unit, "ActiveEnterTimestampMonotonic") > 0
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
// context ends.
func (w *unitWatch) follow(ctx context.Context, tell func(notification)) {
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

// end is how an nspawn has ended, as the service manager knows, who is its parent, and
// whether its machine had begun. A unit that goes on is one that reboots.
func (w *unitWatch) end(ctx context.Context, nspawn *pidfd) (status ExitStatus, began bool) {
	for noticed := false; ; {
		state, err := w.state(ctx)
		switch {
		case err != nil || !state.loaded: // nobody has kept it
			return nspawn.status(), false
		case state.mainPID == nspawn.pid || state.changing():
			if w.await(ctx) != nil {
				return nspawn.status(), state.began
			}
		case !noticed: // its end, perhaps only after the unit's state was read
			noticed = true
		case !state.ended():
			return ExitStatus{Code: exitReboot}, state.began
		default:
			return state.exitStatus(), state.began
		}
	}
}
