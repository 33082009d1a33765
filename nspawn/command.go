package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cmd is a command to run in a machine, in the manner of exec.Cmd: set its
// fields, then call Run, or Start and Wait, once.
//
// The process is started from this program by joining the machine's namespaces,
// which takes a millisecond and needs neither a bus nor a service manager there.
// It has the machine's files, processes, network and capability bounding set, the
// resource limits of its services, a control group of its own within the machine's
// and a view that ends there, a clean environment and umask 022. With Config.SuppressSync, it does not sync
// either. It does not have the machine's system call filter, which cannot be joined;
// it is in no login session, and its parent is outside (getppid gives 0).
type Cmd struct {
	// Path is the program: a path in the machine, or a name looked up there
	// along the PATH of Env when the command starts.
	Path string
	// Args are the arguments, the program's name first.
	Args []string
	// Env is the environment, as NAME=VALUE; nil means what Environ returns.
	Env []string
	// Dir is the working directory in the machine; empty means the user's home
	// directory, or / if that is missing.
	Dir string
	// User is a name or a number in the machine's /etc/passwd; empty is root.
	User string

	// Stdin, Stdout and Stderr are connected as those of exec.Cmd: nil is
	// /dev/null, an *os.File is handed over, and anything else is copied.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// ExtraFiles become descriptors 3 and up.
	ExtraFiles []*os.File
	// SysProcAttr may hold Setsid, Setctty, Ctty, Setpgid and Pdeathsig;
	// everything else of it is overwritten. Nil makes a session of its own, so that
	// the terminal of this program is not the machine's to read and write.
	SysProcAttr *syscall.SysProcAttr

	// Cancel is called when the context ends first; nil kills the whole
	// process tree of the command.
	Cancel func() error
	// WaitDelay bounds how long Wait waits for copying to end once the command
	// has, or the context: a child in the background may keep the pipes open. Of a
	// command that succeeded otherwise the error is exec.ErrWaitDelay then.
	WaitDelay time.Duration

	// Process and ProcessState are the host's view, once there is one.
	Process      *os.Process
	ProcessState *os.ProcessState

	ctx     context.Context
	machine *Machine
	inner   *exec.Cmd
	cgroup  cgroup
	killed  atomic.Bool // whether the tree was
	tail    *tail       // of standard error, where Output kept it
	theirs  []*os.File  // the command's ends of pipes, closed once it has them
	ours    []*os.File  // this program's ends, closed by Wait

	tty    *pty     // the terminal that it gets, if any
	asUnit bool     // asked for by CommandUnit
	unit   *unitRun // if it runs as a unit

	reaped chan struct{} // closed when result is there
	result error
}

// Command returns a Cmd that runs a program in the machine. When the context
// ends before the command, the command is killed with all its descendants, and
// Wait returns the context's error when all of them are gone.
func (m *Machine) Command(ctx context.Context, name string, args ...string) *Cmd {
	return &Cmd{
		Path: name, Args: append([]string{name}, args...), ctx: ctx, machine: m,
		inner: exec.CommandContext(ctx, "/"+name),
	}
}

// String is the command for people to read.
func (c *Cmd) String() string {
	words := make([]string, len(c.Args))
	for i, word := range c.Args {
		words[i] = shellQuote(word)
	}
	return strings.Join(words, " ")
}

// summary is the command for an error, which a script of pages would drown.
func (c *Cmd) summary() string {
	text := c.String()
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// Run starts the command and waits for it. The error is an *ExitError if it ran
// and did not succeed, and an *Error if it could not be run; that one matches
// ErrNotFound if there is no such program, and the errno of execve otherwise.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Start starts the command and does not wait for it. Wait has to be called.
func (c *Cmd) Start() error {
	if c.reaped != nil {
		return c.fail(errors.New("started already"))
	}
	err := c.start()
	closeAll(c.theirs)
	if err != nil {
		closeAll(c.ours)
	}
	return c.fail(err)
}

func (c *Cmd) start() error {
	m := c.machine
	m.calls.RLock()
	l, err := c.startable()
	// A program with threads cannot join a user namespace.
	if err == nil && (c.asUnit || !l.identity) {
		m.calls.RUnlock() // the machine may be frozen while its manager is waited for
		return c.startUnit(l)
	}
	defer m.calls.RUnlock()
	if err != nil {
		return err
	}
	if c.cgroup, err = m.calls.open(m.cgroup()); err != nil {
		return err
	}
	if err := c.startIn(l); err != nil {
		m.calls.close(c.cgroup)
		return err
	}
	c.Process, c.reaped = c.inner.Process, make(chan struct{})
	// Its parent is not in the machine, which would wait in vain for a
	// process to go that is dead but not collected, and not power off.
	go func() {
		c.result = c.inner.Wait()
		m.announceEnd(l)
		close(c.reaped)
	}()
	return nil
}

// startable says why a command cannot be started now, or gives the process that
// it is to join.
func (c *Cmd) startable() (*leader, error) {
	if c.ctx.Err() != nil {
		return nil, context.Cause(c.ctx)
	}
	l, err := c.machine.leaderNow()
	if err != nil {
		return nil, err
	}
	if frozen, err := c.machine.cgroup().event("frozen"); err == nil && frozen {
		return nil, &Error{Op: "exec", Machine: c.machine.Name(), Err: ErrBusy, Hint: "the machine is frozen; thaw it"}
	}
	return l, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// startIn starts the command in its control group, from a thread that has
// joined the machine.
func (c *Cmd) startIn(l *leader) error {
	place, err := unix.Open(string(c.cgroup), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open control group %s: %w", c.cgroup, err)
	}
	defer unix.Close(place)
	if err := c.connect(place); err != nil {
		return err
	}
	config := c.machine.config()
	limits, err := limitsOf(l.pid, &config)
	if err != nil {
		return err
	}
	return c.machine.host.onSpareThread(func() error {
		if err := l.join(); err != nil {
			return err
		}
		if config.SuppressSync {
			if err := suppressSync(); err != nil {
				return err
			}
		}
		// From here on, paths are the machine's.
		if err := c.resolve(); err != nil {
			return err
		}
		return limits.start(c.inner)
	})
}

// connect hands what can be set from outside the machine to the inner command.
func (c *Cmd) connect(place int) error {
	in := c.inner
	in.Args, in.ExtraFiles, in.WaitDelay = c.Args, c.ExtraFiles, c.WaitDelay
	// Nothing is opened while paths are the machine's: /dev/null might be a
	// fifo there. An *os.File is handed over as it is.
	null := c.machine.host.null
	in.Stdin, in.Stdout, in.Stderr = orReader(c.Stdin, null), orWriter(c.Stdout, null), orWriter(c.Stderr, null)
	in.Cancel = c.Cancel
	if in.Cancel == nil {
		in.Cancel = c.killTree
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	if a := c.SysProcAttr; a != nil {
		attr.Setsid, attr.Setctty, attr.Ctty, attr.Setpgid, attr.Pdeathsig = a.Setsid, a.Setctty, a.Ctty, a.Setpgid, a.Pdeathsig
	}
	attr.UseCgroupFD, attr.CgroupFD = true, place
	attr.Unshareflags = unix.CLONE_NEWCGROUP // it sees no control group but its own, whatever it mounts
	in.SysProcAttr = attr
	return nil
}

func (c *Cmd) killTree() error {
	c.killed.Store(true)
	return c.cgroup.kill()
}

// Wait waits for the command to end and for the copying of its input and
// output, and releases what it used.
func (c *Cmd) Wait() error {
	if c.reaped == nil {
		return c.fail(errors.New("not started"))
	}
	<-c.reaped
	closeAll(c.ours)
	if c.unit != nil {
		return c.fail(c.result)
	}
	c.ProcessState = c.inner.ProcessState
	if c.killed.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
		defer cancel()
		if err := c.cgroup.await(ctx, "populated", false); err != nil {
			return c.fail(fmt.Errorf("processes survive: %w", err))
		}
	}
	c.machine.calls.close(c.cgroup)
	var failed *exec.ExitError
	if !errors.As(c.result, &failed) {
		return c.fail(c.result)
	}
	exit := c.exitError(failed.ExitCode(), 0)
	if status, ok := failed.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.signal = status.Signal()
	}
	if cause := context.Cause(c.ctx); cause != nil && exit.signal != 0 {
		return c.fail(errors.Join(cause, exit))
	}
	return exit
}

func (c *Cmd) fail(err error) error {
	if err == nil {
		return nil
	}
	switch err.(type) {
	case *Error, *ExitError:
		return err
	}
	return &Error{Op: "exec", Machine: c.machine.Name(), Err: fmt.Errorf("%s: %w", c.summary(), err)}
}
