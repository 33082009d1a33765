package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// direct starts machines as children of this program.
type direct struct{ h *Host }

func (d *direct) place(name string) cgroup { return d.h.cgroup.child(name) }

// launch starts nspawn in the machine's own control group and sandbox, as our
// child but in a session of its own: neither an interrupt from the terminal nor
// the end of this program ends the machine.
func (d *direct) launch(_ context.Context, m *Machine) (*boot, error) {
	h, config, g := d.h, m.config(), m.cgroup()
	config.leaveOutMissing()
	if err := g.make(); err != nil {
		return nil, err
	}
	if err := g.limit(h.mount, config.Limits); err != nil {
		return nil, err
	}
	b := newBoot()
	var err error
	if b.notify, err = listenNotify(m.dir); err != nil {
		return nil, err
	}
	cmd, err := d.spawn(m, &config, g)
	if err == nil {
		b.nspawn, err = openPidfd(cmd.Process.Pid)
	}
	if err == nil {
		err = m.saveRecord(func(r *record) { r.Nspawn = cmd.Process.Pid })
	}
	if err != nil {
		b.close()
		if cmd != nil {
			err = errors.Join(err, cmd.Process.Kill())
			reap(cmd)
		}
		return nil, err
	}
	b.child, b.reap = true, func() ExitStatus { return reap(cmd) }
	m.mu.Lock()
	m.boot = b
	m.mu.Unlock()
	b.notify.serve(func(n notification) { m.notified(b, n) })
	h.log.Debug("systemd-nspawn started", "machine", config.Name, "pid", cmd.Process.Pid)
	return b, nil
}

// spawn runs systemd-nspawn.
func (d *direct) spawn(m *Machine, config *Config, g cgroup) (*exec.Cmd, error) {
	h := d.h
	console, err := os.OpenFile(filepath.Join(m.dir, "console"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	place, err := os.Open(string(g))
	if err != nil {
		return nil, err
	}
	defer place.Close()
	line, err := d.commandLine(m, config)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: h.nspawn.path, Args: line.Args, Env: line.Env,
		Dir: "/", Stdin: h.null, Stdout: console, Stderr: console,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: int(place.Fd())},
	}
	box := &sandbox{netns: h.options.Netns, stateDir: m.dir, suppressSync: config.SuppressSync}
	err = onOwnThread(func() error {
		if err := box.enter(); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		return nil, fmt.Errorf("start systemd-nspawn: %w", err)
	}
	return cmd, nil
}

// unifiedEnv is for nspawn before 258, which falls back to version 1 for an init
// whose version it cannot read.
const unifiedEnv = "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"

// commandLine is the configuration's, with what this launcher adds: no
// registration with machined, readiness and console to us.
func (d *direct) commandLine(m *Machine, config *Config) (CommandLine, error) {
	a := arguments{"systemd-nspawn", "--quiet", "--register=no", "--keep-unit"}
	if err := config.launchArguments(&a, m.dir, sharedDir); err != nil {
		return CommandLine{}, err
	}
	env := append(config.nspawnEnv(), unifiedEnv, "PATH="+defaultPath, "NOTIFY_SOCKET="+filepath.Join(sharedDir, "notify"))
	return CommandLine{Env: env, Args: a}, nil
}

// reap collects an nspawn that has ended.
func reap(cmd *exec.Cmd) ExitStatus {
	var failed *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &failed) {
		return ExitStatus{Code: -1}
	}
	ws, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return exitStatus(unix.WaitStatus(ws))
}

// relaunch does what systemd does for a unit: nspawn is started anew.
func (d *direct) relaunch(ctx context.Context, m *Machine) (*boot, error) {
	m.mu.Lock()
	rec := m.record
	m.mu.Unlock()
	if err := errors.Join(rec.Cgroup.remove(ctx), d.h.removeLinks(&rec)); err != nil {
		return nil, err
	}
	err := m.saveRecord(func(r *record) { r.Phase, r.Leader, r.Nspawn = phaseStarting, 0, 0 })
	if err != nil {
		return nil, err
	}
	return d.launch(ctx, m)
}

// alive goes by the processes. That one lives in the machine's control group
// proves that its ID was not used again.
func (d *direct) alive(_ context.Context, rec *record) (bool, error) {
	return rec.BootID == bootID() && rec.Nspawn != 0 && rec.Leader != 0 &&
		inCgroup(rec.Nspawn, rec.Cgroup) && inCgroup(rec.Leader, rec.Cgroup), nil
}

func (d *direct) clean(ctx context.Context, rec *record) error {
	if rec.BootID != bootID() {
		return nil
	}
	err := rec.Cgroup.remove(ctx)
	rec.Cgroup.removeEmptyParents()
	return err
}

// rejoin takes up the boot that is in progress.
func (d *direct) rejoin(_ context.Context, m *Machine) (*boot, error) {
	m.mu.Lock()
	rec := m.record
	m.mu.Unlock()
	b := newBoot()
	var err error
	if b.nspawn, err = openPidfd(rec.Nspawn); err != nil {
		return nil, notFoundIfEnded(err)
	}
	b.reap = b.nspawn.status
	if b.leader, err = d.h.newLeader(rec.Leader, rec.Cgroup); err != nil {
		b.close()
		return nil, notFoundIfEnded(err)
	}
	close(b.known)
	if rec.isReady() {
		close(b.ready)
	}
	m.mu.Lock()
	m.boot = b
	m.mu.Unlock()
	if m.lock == nil {
		err = m.followRecord(b)
	} else {
		b.notify, err = listenNotify(m.dir)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	if b.notify != nil {
		b.notify.serve(func(n notification) { m.notified(b, n) })
	}
	return b, nil
}

// notFoundIfEnded turns an error about a process that is no more, or whose ID is another's
// by now, into ErrNotFound.
func notFoundIfEnded(err error) error {
	for _, ended := range []error{unix.ESRCH, fs.ErrNotExist, os.ErrInvalid, ErrNotRunning} {
		if errors.Is(err, ended) {
			return ErrNotFound
		}
	}
	return err
}
