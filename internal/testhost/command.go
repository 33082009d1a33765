package testhost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run runs a command in the host to its end, as root, in a scope of its own whose
// cgroup it may divide further (Delegate=), and kills what it leaves running. It
// is killed when ctx or this process ends. cmd, of [exec.Command], says what to
// run: its path is one in the host and must be absolute; of the other fields,
// those that a virtual host can know count: arguments, directory, environment and
// streams. What arrives on signals, which may be nil, is passed on. The error is
// an [*ExitError], so that exit status and signal are exact; [ErrGone] if the host
// has ended.
func (h *Host) Run(ctx context.Context, cmd *exec.Cmd, signals <-chan os.Signal) error {
	if err := h.alive(); err != nil {
		return h.wrap("enter", err)
	}
	if h.cfg.VM {
		return h.wrap("enter", h.call(ctx, cmd, signals))
	}
	payload := h.cgroup() + "/payload"
	// Entered below the payload's root: from outside of its cgroup namespace,
	// the host's systemd could not move it on into the scope.
	enter, err := (payload + "/rig-enter").create()
	if err != nil {
		return h.wrap("enter", err)
	}
	defer enter.Close()
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(enter.Fd())}
	return h.wrap("enter", h.inside(func() error { return runInScope(ctx, cmd, payload, signals) }))
}

// runInScope runs a command by the systemd that it will find itself under, whose
// own cgroup is root. The thread must not end before the command does.
func runInScope(ctx context.Context, cmd *exec.Cmd, root cgroup, signals <-chan os.Signal) error {
	scope := "rig-run-" + rand.Text() + ".scope"
	// SysProcAttr.Pdeathsig would kill the command at once: in the host's PID
	// namespace its parent is 0, which Go takes for a parent that died.
	cmd.Args = append([]string{"setpriv", "--pdeathsig=KILL",
		"systemd-run", "--scope", "--quiet", "--collect", "--unit=" + scope,
		"--property=Delegate=yes", "--", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/usr/bin/setpriv"
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", cmd.Path, err)
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0) // before Wait reaps it
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	ended := make(chan error, 1)
	go func() {
		defer unix.Close(pidfd)
		forward(signals, cmd.Process, pidfd)
		ended <- cgroup(filepath.Join(string(root), "system.slice", scope)).kill()
	}()
	err = cmd.Wait() // whatever holds its output is killed, so this ends
	if killed := <-ended; err == nil {
		return killed
	}
	return ExitErrorOf(err)
}

// forward passes on to process what arrives, until the process ends.
func forward(signals <-chan os.Signal, process *os.Process, pidfd int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		waitReadable(pidfd)
	}()
	for {
		select {
		case sig := <-signals:
			_ = process.Signal(sig) // it may have ended by now
		case <-done:
			return
		}
	}
}

// waitReadable blocks until a pidfd says that its process has ended.
func waitReadable(pidfd int) {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
