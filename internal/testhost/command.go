package testhost

import (
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
// is killed when this process ends. cmd.Path is a path in the host and must be
// absolute. What arrives on signals, which may be nil, is passed on. The error is
// that of [exec.Cmd.Wait], so that exit status and signal are exact; [ErrGone] if
// the host has ended.
func (h *Host) Run(cmd *exec.Cmd, signals <-chan os.Signal) error {
	if err := h.alive(); err != nil {
		return h.wrap("enter", err)
	}
	scope := "rig-run-" + rand.Text() + ".scope"
	payload := h.cgroup() + "/payload"
	// Entered below the payload's root: from outside of its cgroup namespace,
	// the host's systemd could not move it on into the scope.
	enter, err := (payload + "/rig-enter").create()
	if err != nil {
		return h.wrap("enter", err)
	}
	defer enter.Close()
	// SysProcAttr.Pdeathsig would kill the command at once: in the host's PID
	// namespace its parent is 0, which Go takes for a parent that died.
	cmd.Args = append([]string{"setpriv", "--pdeathsig=KILL",
		"systemd-run", "--scope", "--quiet", "--collect", "--unit=" + scope,
		"--property=Delegate=yes", "--", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/usr/bin/setpriv"
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = int(enter.Fd())
	return h.inside(func() error {
		if err := cmd.Start(); err != nil {
			return h.wrap("enter", fmt.Errorf("%s: %w", cmd.Path, err))
		}
		ended := make(chan error, 1)
		pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0) // before Wait reaps it
		if err != nil {
			return h.wrap("enter", errors.Join(err, cmd.Process.Kill(), cmd.Wait()))
		}
		go func() {
			defer unix.Close(pidfd)
			forward(signals, cmd.Process, pidfd)
			ended <- cgroup(filepath.Join(string(payload), "system.slice", scope)).kill()
		}()
		err = cmd.Wait() // whatever holds its output is killed, so this ends
		if killed := h.wrap("enter", <-ended); err == nil {
			err = killed
		}
		return err
	})
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
