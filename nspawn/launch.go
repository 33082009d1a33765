package nspawn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// launch starts nspawn in the machine's own control group and sandbox, as our
// child but in a session of its own: neither an interrupt from the terminal nor
// the end of this program ends the machine.
func (m *Machine) launch() (*boot, error) {
	h, config, g := m.host, m.config(), m.cgroup()
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
	m.mu.Lock()
	m.boot = b
	m.mu.Unlock()
	cmd, err := m.spawn(&config, g)
	if err == nil {
		b.nspawn, err = openPidfd(cmd.Process.Pid)
	}
	if err == nil {
		err = m.saveRecord(func(r *record) { r.Nspawn = cmd.Process.Pid })
	}
	if err != nil {
		b.close()
		return nil, err
	}
	b.child, b.reap = true, func() ExitStatus { return reap(cmd) }
	b.notify.serve(func(n notification) { m.notified(b, n) })
	h.log.Info("machine started", "machine", config.Name, "nspawn", cmd.Process.Pid)
	return b, nil
}

// spawn runs systemd-nspawn.
func (m *Machine) spawn(config *Config, g cgroup) (*exec.Cmd, error) {
	h := m.host
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
	line, err := m.commandLine(config)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: h.nspawn.path, Args: line.Args, Env: line.Env,
		Dir: "/", Stdin: h.null, Stdout: console, Stderr: console,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: int(place.Fd())},
	}
	box := &sandbox{netns: h.options.Netns, unified: isUnified(h.mount), stateDir: m.dir}
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

// commandLine is the configuration's, with what this launcher adds: no
// registration with machined, readiness and console to us, credentials by file.
func (m *Machine) commandLine(config *Config) (CommandLine, error) {
	a := arguments{"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe"}
	config.identity(&a)
	config.network(&a)
	config.mounts(&a)
	config.security(&a)
	if config.Limits.OpenFiles > 0 {
		a.add("--rlimit", fmt.Sprintf("RLIMIT_NOFILE=%d", config.Limits.OpenFiles))
	}
	for i, credential := range config.Credentials {
		path := credential.Path
		if path == "" {
			name := fmt.Sprintf("credential-%d", i)
			if err := os.WriteFile(filepath.Join(m.dir, name), []byte(credential.Value), 0o600); err != nil {
				return CommandLine{}, err
			}
			path = filepath.Join(sharedDir, name)
		}
		a.add("--load-credential", credential.ID+":"+path)
	}
	config.payload(&a)
	env := append(config.nspawnEnv(),
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"NOTIFY_SOCKET="+filepath.Join(sharedDir, "notify"),
		// Versions before 258 fall back to version 1 for an init whose
		// version they cannot read.
		"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
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

// notified takes in what nspawn or the machine's manager reports.
func (m *Machine) notified(b *boot, n notification) {
	if n.leader != 0 && !isClosed(b.known) {
		l, err := newLeader(n.leader, m.cgroup())
		if err != nil {
			m.host.log.Debug("machine's first process is gone already", "machine", m.Name(), "error", err)
		}
		m.mu.Lock()
		b.leader = l
		m.mu.Unlock()
		m.advance(phaseRunning, func(r *record) { r.Leader = n.leader })
		close(b.known)
	}
	if n.ready && isClosed(b.known) && !isClosed(b.ready) {
		m.advance(phaseReady, func(*record) {})
		close(b.ready)
	}
}

// advance writes down how far the machine has come.
func (m *Machine) advance(p phase, also func(*record)) {
	err := m.saveRecord(func(r *record) {
		r.Phase = p
		also(r)
	})
	if err != nil {
		m.host.log.Warn("cannot record the machine's state", "machine", m.Name(), "error", err)
	}
	m.host.log.Info("machine is "+string(p), "machine", m.Name())
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
