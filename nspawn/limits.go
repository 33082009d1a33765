package nspawn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// resourceLimits are those of getrlimit(2), by their numbers.
type resourceLimits [unix.RLIMIT_RTTIME + 1]unix.Rlimit

// limitsOf reads the limits of a machine's first process. An init has raised some
// for itself: of these it is what it gives to services that ask for nothing, see
// systemd-system.conf(5).
func limitsOf(pid int, config *Config) (set resourceLimits, err error) {
	for resource := range set {
		if err := unix.Prlimit(pid, resource, nil, &set[resource]); err != nil {
			return set, fmt.Errorf("read the limits of process %d: %w", pid, err)
		}
	}
	if len(config.Command) == 0 {
		set[unix.RLIMIT_CORE].Cur = 0
		set[unix.RLIMIT_NOFILE] = clamp(unix.Rlimit{Cur: 1024, Max: 512 << 10}, set[unix.RLIMIT_NOFILE].Max)
		set[unix.RLIMIT_MEMLOCK] = clamp(unix.Rlimit{Cur: 8 << 20, Max: 8 << 20}, set[unix.RLIMIT_MEMLOCK].Max)
	}
	if n := config.Limits.OpenFiles; n > 0 {
		set[unix.RLIMIT_NOFILE] = unix.Rlimit{Cur: n, Max: n}
	}
	return set, nil
}

// start starts a command that has the limits from its first instruction on. They
// belong to a process and not to the thread that forks, so that the command is
// held by ptrace(2) at its execve until it has them. The thread is locked.
func (set *resourceLimits) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Ptrace = mayTrace()
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	if cmd.SysProcAttr.Ptrace {
		// Who is killed meanwhile is left for Wait to collect.
		err := unix.EINTR
		for err == unix.EINTR {
			err, _ = unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil).(unix.Errno)
		}
	}
	err := errors.Join(actFor(cmd.SysProcAttr.Credential), set.give(pid))
	if cmd.SysProcAttr.Ptrace {
		err = errors.Join(err, ignoreGone(syscall.PtraceDetach(pid)))
	}
	if err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return nil
}

// give sets the limits of a process. Those above this program's own it can only
// give where it has CAP_SYS_RESOURCE; else they stay at its own.
func (set *resourceLimits) give(pid int) error {
	for resource, limit := range set {
		err := unix.Prlimit(pid, resource, &limit, nil)
		if err == unix.EPERM {
			var own unix.Rlimit
			if err = unix.Prlimit(pid, resource, nil, &own); err == nil {
				limit = clamp(limit, own.Max)
				err = unix.Prlimit(pid, resource, &limit, nil)
			}
		}
		if err := ignoreGone(err); err != nil {
			return fmt.Errorf("set the command's limits: %w", err)
		}
	}
	return nil
}

// actFor makes the calling thread's real user, not the effective one, that of a
// command: without CAP_SYS_RESOURCE, only those may set its limits.
func actFor(user *syscall.Credential) error {
	keep := ^uintptr(0)
	for call, id := range map[uintptr]uint32{unix.SYS_SETRESGID: user.Gid, unix.SYS_SETRESUID: user.Uid} {
		if _, _, errno := unix.RawSyscall(call, uintptr(id), keep, keep); errno != 0 {
			return fmt.Errorf("act for user %d: %w", id, errno)
		}
	}
	return nil
}

func clamp(limit unix.Rlimit, most uint64) unix.Rlimit {
	return unix.Rlimit{Cur: min(limit.Cur, most), Max: min(limit.Max, most)}
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// mayTrace is false where ptrace(2) is forbidden to all; a command may then see
// other limits in its first microseconds.
func mayTrace() bool {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return err != nil || strings.TrimSpace(string(scope)) != "3"
}
