package archboot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A chamber is where programs run that work on a root: mount, PID, IPC and UTS
// namespaces and a control group of its own, with /dev, /proc, /sys, /run and /tmp mounted in the
// root. Nothing that is mounted or left running in it outlives it: not the
// agents that GnuPG starts, and not even when this process is killed.
//
// One goroutine owns it and is locked to a thread that is in its mount
// namespace. Programs are started from that thread. PID 1 of the chamber is a
// cat(1) that reads from a pipe of ours; when the pipe closes, it ends, and the
// kernel kills whatever else is in its PID namespace. It ignores SIGCHLD where
// env(1) is of coreutils 8.31 or newer, so that the kernel reaps orphans for it.
type chamber struct {
	chamberConfig
	jobs  chan func()
	ended chan struct{} // closed when the thread has left the namespace

	group    *cgroup // that its programs run in, nil where there can be none
	init     *exec.Cmd
	initPipe io.Closer
}

// A chamberConfig says what a chamber is like.
type chamberConfig struct {
	root     string
	hostname string // empty for the host's
	cache    string // directory of packages, may be empty
	netns    string // path of a network namespace, empty for the caller's
}

// enter makes a chamber. The caller closes it. Where no control group can be made,
// it goes without, and the reason is told to log.
func enter(config chamberConfig, log func(string)) (*chamber, error) {
	if err := needPrograms("sh", "mount", "cat"); err != nil {
		return nil, err
	}
	c := &chamber{chamberConfig: config, jobs: make(chan func()), ended: make(chan struct{})}
	group, err := newCgroup()
	if err != nil {
		log(fmt.Sprintf("no control group for the programs in the root: %v", err))
	}
	c.group = group
	ready := make(chan error)
	go c.own(ready)
	if err := <-ready; err != nil {
		<-c.ended
		return nil, errors.Join(fmt.Errorf("make private namespaces: %w", err), c.removeGroup())
	}
	return c, nil
}

func (c *chamber) removeGroup() error {
	if c.group == nil {
		return nil
	}
	return c.group.remove()
}

// into makes a program start in the chamber's control group.
func (c *chamber) into(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	if c.group != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(c.group.dir.Fd())
	}
	return attr
}

// own is the goroutine that owns the chamber. Its thread is never unlocked and
// dies with it. Before that it goes back to where it came from, because the
// kernel tears a mount namespace down with its last member, and the caller may
// want to unmount the root right after close.
func (c *chamber) own(ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread cannot end, and answers for the program in /proc/self.
		go c.own(ready)
		runtime.UnlockOSThread()
		return
	}
	defer close(c.ended)
	origin, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		ready <- err
		return
	}
	defer origin.Close()
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS); err != nil {
		ready <- err
		return
	}
	defer unix.Setns(int(origin.Fd()), unix.CLONE_NEWNS)
	unix.Umask(0o022) // of this thread alone: a new mount namespace parts it from the others
	err = c.joinNetwork()
	if err == nil {
		err = c.furnish()
	}
	if err == nil {
		err = c.startInit()
	}
	ready <- err
	if err != nil {
		return
	}
	for job := range c.jobs {
		job()
	}
}

// do runs f on the chamber's thread, and waits for it.
func (c *chamber) do(f func() error) error {
	done := make(chan error)
	c.jobs <- func() { done <- f() }
	return <-done
}

// joinNetwork enters the network namespace that the caller named, on the thread.
func (c *chamber) joinNetwork() error {
	if c.netns == "" {
		return nil
	}
	f, err := openNetns(c.netns)
	if err != nil {
		return err
	}
	defer f.Close()
	return os.NewSyscallError("setns", unix.Setns(int(f.Fd()), unix.CLONE_NEWNET))
}

// startInit starts PID 1, which mounts /proc twice: only a member of a PID
// namespace can mount its proc. From then on /proc/self leads nowhere on the
// chamber's thread, which is in the host's PID namespace.
func (c *chamber) startInit() error {
	t, err := openTree(c.root)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := t.MkdirAll("/proc", 0o555); err != nil {
		return err
	}
	proc, _, err := t.Parent("/proc/x")
	if err != nil {
		return err
	}
	defer proc.Close()

	const script = `mount -t proc -o nosuid,nodev,noexec proc . && mount -t proc -o nosuid,nodev,noexec proc /proc && echo ready && cd / && { env --ignore-signal=CHLD true 2>/dev/null && exec env --ignore-signal=CHLD cat || exec cat; }`
	return c.startInitIn(procPath(proc), script)
}

// startInitIn starts the script in the directory, waits until it is ready, and enters
// its PID namespace.
func (c *chamber) startInitIn(dir, script string) error {
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = environment()
	pidfd := -1
	cmd.SysProcAttr = c.into(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Setsid: true, PidFD: &pidfd})
	var complaint tail
	cmd.Stderr = &complaint
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.init, c.initPipe = cmd, stdin
	defer unix.Close(pidfd)
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		c.stopInit()
		return fmt.Errorf("mount /proc: %s", complaint.String())
	}
	if err := unix.Setns(pidfd, unix.CLONE_NEWPID); err != nil {
		c.stopInit()
		return fmt.Errorf("enter PID namespace: %w", err)
	}
	return nil
}

func (c *chamber) stopInit() {
	_ = c.init.Process.Kill()
	_ = c.initPipe.Close()
	_ = c.init.Wait() // killed: its status says nothing
}

// close kills all that still runs in the chamber and takes down its mounts. When
// it returns, nothing of the chamber is left.
func (c *chamber) close() error {
	c.stopInit()
	close(c.jobs)
	<-c.ended
	return c.removeGroup()
}
