package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Launcher is a way to run systemd-nspawn. Machines behave the same in both.
type Launcher string

// The launchers.
const (
	// LauncherAuto takes LauncherSystemd where systemd is PID 1 and machined is
	// at hand, and LauncherDirect elsewhere.
	LauncherAuto Launcher = ""
	// LauncherDirect runs systemd-nspawn as a child of this program: it needs
	// neither systemd nor D-Bus nor machined on the host.
	LauncherDirect Launcher = "direct"
	// LauncherSystemd runs it as a transient unit rig-NAME.service, registered
	// with machined: machinectl, systemctl -M and journalctl -M know the
	// machine, and it reboots also while no program of ours runs.
	LauncherSystemd Launcher = "systemd"
)

// starter is what the launchers differ in.
type starter interface {
	// place is the control group that a machine of that name will have.
	place(name string) cgroup
	// launch begins a machine's first life.
	launch(ctx context.Context, m *Machine) (*boot, error)
	// relaunch begins its next after a reboot, or returns nil if there is none.
	relaunch(ctx context.Context, m *Machine) (*boot, error)
	// alive brings the record up to date and reports whether the machine runs.
	alive(ctx context.Context, rec *record) (bool, error)
	// rejoin takes up the life that is in progress.
	rejoin(ctx context.Context, m *Machine) (*boot, error)
	// clean ends what is left of the machine's processes.
	clean(ctx context.Context, rec *record) error
}

// chooseLauncher probes which launcher can be used and says so.
func (h *Host) chooseLauncher(ctx context.Context, asked Launcher) error {
	h.starters = map[Launcher]starter{LauncherDirect: &direct{h}}
	switch asked {
	case LauncherDirect:
	case LauncherAuto, LauncherSystemd:
		lacks, err := probeSystemd(ctx)
		if err == nil && lacks == "" {
			h.starters[LauncherSystemd] = &systemd{h}
			h.launcher = LauncherSystemd
			h.log.Info("machines are started by systemd and registered with machined")
			return nil
		}
		if asked == LauncherSystemd {
			if lacks != "" {
				err = fmt.Errorf("%w: %s", ErrNotSupported, lacks)
			}
			return &Error{Op: "use the systemd launcher", Err: err,
				Hint: "boot the host with systemd and install systemd-container, or use the direct launcher"}
		}
		if err == nil {
			err = errors.New(lacks)
		}
		h.log.Info("machines are started directly", "reason", err)
	default:
		return &Fault{Field: "Launcher", Problem: fmt.Sprintf("%q is none of direct and systemd", asked)}
	}
	h.launcher = LauncherDirect
	return nil
}

// Launcher is the one that Start uses.
func (h *Host) Launcher() Launcher { return h.launcher }

// starterOf is the launcher that a recorded machine was started by.
func (h *Host) starterOf(rec *record) (starter, error) {
	if s := h.starters[rec.Launcher]; s != nil {
		return s, nil
	}
	return nil, &Error{Op: "use the machine", Machine: rec.Config.Name, Err: ErrNotSupported,
		Hint: fmt.Sprintf("it was started by the %s launcher", rec.Launcher)}
}

// probeSystemd says what the host lacks to start machines by systemd, which is nothing if
// it can.
func probeSystemd(ctx context.Context) (lacks string, err error) {
	// The test of sd_booted(3).
	if _, err := os.Lstat("/run/systemd/system"); errors.Is(err, fs.ErrNotExist) {
		return "the host is not booted with systemd", nil
	} else if err != nil {
		return "", err
	}
	bus, err := openBus(ctx)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return fmt.Sprintf("there is no system bus: %v", err), nil
	}
	if err != nil {
		return "", fmt.Errorf("system bus: %w", err)
	}
	defer bus.Close()
	has, err := bus.hasMachined(ctx)
	if err == nil && !has {
		lacks = "machined is not installed"
	}
	return lacks, err
}
