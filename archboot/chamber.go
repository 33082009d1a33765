package archboot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/prologin/rig/internal/intree"
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
// kernel kills whatever else is in its PID namespace.
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

// furnish mounts what programs expect to find in the root, on the thread.
func (c *chamber) furnish() error {
	if err := isolateMounts(); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if c.hostname != "" {
		if err := unix.Sethostname([]byte(c.hostname)); err != nil {
			return fmt.Errorf("set host name: %w", err)
		}
	}
	// pacman looks for the mount point of what it writes to, to see how much space
	// is left. In a chroot there may be none.
	for _, dir := range []string{c.root, c.cache} {
		if dir == "" {
			continue
		}
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", dir, err)
		}
	}
	t, err := openTree(c.root)
	if err != nil {
		return err
	}
	defer t.Close()
	const hard = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct {
		dir, kind string
		perm      os.FileMode
		flags     uintptr
		data      string
	}{
		{"/sys", "sysfs", 0o555, hard | unix.MS_NOEXEC | unix.MS_RDONLY, ""},
		{"/dev", "tmpfs", 0o755, unix.MS_NOSUID, "mode=0755,size=1m"},
		{"/dev/pts", "devpts", 0o755, unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		{"/dev/shm", "tmpfs", 0o755, hard, "mode=1777"},
		{"/run", "tmpfs", 0o755, hard, "mode=0755"},
		{"/tmp", "tmpfs", 0o755, hard, "mode=1777"},
	} {
		if err := mountIn(t, m.dir, m.kind, m.kind, m.perm, m.flags, m.data); err != nil {
			return err
		}
	}
	return devices(t)
}

// isolateMounts keeps what the thread mounts from spreading to the namespace that it
// came from. In a chroot(2), "/" need not be a mount point, and then the kernel
// refuses to change it: so go to the top of the namespace and come back, as setns(2)
// into one's own mount namespace leads out of the chroot.
func isolateMounts() error {
	const how = unix.MS_REC | unix.MS_SLAVE
	err := unix.Mount("", "/", "", how, "")
	if err != unix.EINVAL {
		return err
	}
	here, err := os.Open("/")
	if err != nil {
		return err
	}
	defer here.Close()
	own, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer own.Close()
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNS); err != nil {
		return err
	}
	err = unix.Mount("", "/", "", how, "")
	return errors.Join(err, unix.Fchdir(int(here.Fd())), unix.Chroot("."))
}

// mountIn mounts on a directory of the tree, as the tree resolves its name.
func mountIn(t *intree.Tree, dir, source, kind string, perm os.FileMode, flags uintptr, data string) error {
	if err := t.MkdirAll(dir, perm); err != nil {
		return err
	}
	target, _, err := t.Parent(dir + "/x")
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Mount(source, procPath(target), kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, dir, err)
	}
	return nil
}

// devices fills /dev. The nodes are the host's own, bound: mknod(2) is not
// allowed in every container.
func devices(t *intree.Tree) error {
	dev, _, err := t.Parent("/dev/x")
	if err != nil {
		return err
	}
	defer dev.Close()
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		node := procPath(dev) + "/" + name
		fd, err := unix.Open(node, unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
		unix.Close(fd)
		if err := unix.Mount("/dev/"+name, node, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind /dev/%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := t.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
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

	const script = `mount -t proc -o nosuid,nodev,noexec proc . && mount -t proc -o nosuid,nodev,noexec proc /proc && echo ready && cd / && exec cat`
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = procPath(proc)
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

// A program is what is run in a chamber.
type program struct {
	path   string // absolute if chroot is set, else looked up on the host
	args   []string
	chroot string       // directory that is the program's root, empty for the host's
	line   func(string) // called for each line printed, may be nil
}

// run runs a program and waits for it. If the context ends first, everything in
// the chamber is killed, since the program's children would go on otherwise.
// The error of a program that failed is an *Error that holds what it printed last.
func (c *chamber) run(ctx context.Context, p program) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	var last tail
	out := &lineWriter{line: func(s string) {
		last.add(s)
		if p.line != nil {
			p.line(s)
		}
	}}
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Env = environment()
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = c.into(&syscall.SysProcAttr{Setsid: true, Chroot: p.chroot})
	cmd.Cancel = c.init.Process.Kill
	cmd.WaitDelay = outputDelay
	err := c.do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	out.flush()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it went well, and an agent of its own keeps the pipe open
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &Error{Op: "run " + p.path, Root: c.root, Err: err, Output: last.lines}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", p.path, err)
	}
	return nil
}

// outputDelay is how long the output of a program is awaited that has ended itself
// and has left a process that could still write some.
const outputDelay = 2 * time.Second

// environment is all that a program sees of ours: nothing.
func environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LC_ALL=C.UTF-8", "TERM=dumb",
	}
}
