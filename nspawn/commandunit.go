package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// CommandUnit is Command by another way: the program runs as a transient unit of
// the machine's own service manager. It takes some ten milliseconds and needs
// systemd and D-Bus in the machine, and in return the program has everything that
// a service there has: system call filter, limits, an entry in the journal, a
// parent. It is also the only way into a machine with a user namespace, which
// Command takes there by itself.
//
// ExtraFiles and SysProcAttr cannot be handed over and are refused; arguments
// and environment have to be UTF-8; Process and ProcessState stay nil. What the
// program leaves running ends with it.
func (m *Machine) CommandUnit(ctx context.Context, name string, args ...string) *Cmd {
	c := m.Command(ctx, name, args...)
	c.asUnit = true
	return c
}

// unitRun is a command that runs as a unit.
type unitRun struct {
	name    string
	bus     *bus
	changed <-chan struct{}
	feed    func() error   // copies the input, if that is no file
	copies  []func() error // one for each output that is no file
	fed     chan error
	copied  chan error
}

// execStartEx is one command of a unit, with flags.
type execStartEx struct {
	Path  string
	Args  []string
	Flags []string
}

// startUnit starts the command as a unit and waits until it was executed.
func (c *Cmd) startUnit(l *leader) (err error) {
	if len(c.ExtraFiles) > 0 || c.SysProcAttr != nil && c.tty == nil {
		return fmt.Errorf("ExtraFiles and SysProcAttr of a unit: %w", ErrNotSupported)
	}
	r := &unitRun{name: fmt.Sprintf("rig-command-%d-%d.service", os.Getpid(), c.machine.calls.number())}
	if r.bus, err = c.machine.bus(c.ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(r.bus.Close()))
		}
	}()
	if r.changed, err = r.bus.subscribe(c.ctx, unitPath(r.name)); err != nil {
		return err
	}
	properties, err := c.unitProperties(l, r)
	if err != nil {
		return err
	}
	if err := r.begin(c, properties); err != nil {
		return err
	}
	r.fed, r.copied = make(chan error, 1), make(chan error, len(r.copies))
	if r.feed != nil {
		go func() { r.fed <- r.feed() }()
	}
	for _, copy := range r.copies {
		go func() { r.copied <- copy() }()
	}
	c.reaped = make(chan struct{})
	c.unit = r
	go func() {
		defer close(c.reaped)
		c.result = r.finish(c)
	}()
	return nil
}

// begin queues the unit and waits until its program runs.
func (r *unitRun) begin(c *Cmd, properties []unitProperty) error {
	ctx := c.ctx
	removed, err := r.bus.jobs(ctx)
	if err != nil {
		return err
	}
	defer r.bus.conn.RemoveSignal(removed)
	var job dbus.ObjectPath
	type auxiliary struct {
		Name       string
		Properties []unitProperty
	}
	if err := r.bus.manager(ctx, "StartTransientUnit", r.name, "fail", properties, []auxiliary{}).Store(&job); err != nil {
		return err
	}
	result, err := awaitJob(ctx, removed, job)
	if err != nil {
		r.kill()
		return err
	}
	if result == "done" {
		return nil
	}
	w := &unitWatch{bus: r.bus, unit: r.name}
	state, err := w.state(ctx)
	if err == nil && c.ran(ctx, r.name, state) {
		return nil // systemd before 254: it ended before its job did
	}
	_ = r.bus.manager(ctx, "UnrefUnit", r.name).Err
	return errors.Join(fmt.Errorf("the unit's job ended with %q: %w", result, executionError(state.status)), err)
}

// ran tells the end of a program from a failure to execute it, which the journal
// knows where the status is one of systemd.exec(5).
func (c *Cmd) ran(ctx context.Context, unit string, state unitState) bool {
	if state.code == 0 {
		return false
	}
	if state.code != cldExited || state.status < 200 || state.status >= 250 {
		return true
	}
	const look = `journalctl --sync; journalctl --quiet --boot --output=cat "MESSAGE_ID=$1" "UNIT=$2"`
	told, err := c.machine.Command(ctx, "/bin/sh", "-c", look, "sh", spawnFailed, unit).Output()
	return err == nil && len(told) == 0
}

// spawnFailed is SD_MESSAGE_SPAWN_FAILED of systemd's sd-messages.h.
const spawnFailed = "641257651c1b4ec9a8624d7a40a9e1e7"

// executionError is what systemd.exec(5) says that a status means with which a
// unit's process ends before its program runs.
func executionError(status int32) error {
	switch status {
	case 200:
		return errors.New("cannot change to the working directory")
	case 203:
		return errors.New("cannot execute the program")
	case 216, 217:
		return fmt.Errorf("user or group: %w", ErrNotFound)
	}
	return fmt.Errorf("status %d of systemd.exec(5)", status)
}

// unitProperties describe the command to the machine's service manager.
func (c *Cmd) unitProperties(l *leader, r *unitRun) ([]unitProperty, error) {
	env := c.Env
	if env == nil {
		env = []string{"PATH=" + defaultPath, "LANG=C.UTF-8"} // the manager adds what depends on the user
	}
	path, err := c.unitProgram(l, env)
	if err != nil {
		return nil, err
	}
	var set []unitProperty
	add := func(name string, value any) { set = append(set, unitProperty{name, dbus.MakeVariant(value)}) }
	add("Description", c.String())
	add("Type", "exec")
	add("ExecStartEx", []execStartEx{{path, c.Args, []string{"no-env-expand"}}})
	add("Environment", env)
	add("User", orDefault(c.User, "root"))
	add("WorkingDirectory", orDefault(c.Dir, "-~"))
	add("AddRef", true)
	add("CollectMode", "inactive-or-failed")
	add("IgnoreSIGPIPE", false)
	if c.tty != nil {
		err = c.tty.connect(l, add)
	} else {
		err = r.connect(c, add)
	}
	return set, err
}

// unitProgram is the path of the program, which the manager would look up along a
// PATH of its own.
func (c *Cmd) unitProgram(l *leader, env []string) (path string, err error) {
	if strings.HasPrefix(c.Path, "/") {
		return c.Path, nil
	}
	err = onOwnThread(func() error {
		if err := l.joinFiles(); err != nil {
			return err
		}
		path, err = lookPath(c.Path, env)
		return err
	})
	return path, err
}

// connect hands the unit its input and outputs.
func (r *unitRun) connect(c *Cmd, add func(string, any)) error {
	stdin, err := r.input(c)
	if err != nil {
		return err
	}
	stdout, err := r.output(c, c.Stdout)
	if err != nil {
		return err
	}
	stderr := stdout
	if !sameWriter(c.Stdout, c.Stderr) {
		if stderr, err = r.output(c, c.Stderr); err != nil {
			return err
		}
	}
	add("StandardInputFileDescriptor", dbus.UnixFD(stdin.Fd()))
	add("StandardOutputFileDescriptor", dbus.UnixFD(stdout.Fd()))
	add("StandardErrorFileDescriptor", dbus.UnixFD(stderr.Fd()))
	return nil
}

func sameWriter(a, b io.Writer) bool {
	defer func() { _ = recover() }() // writers of types that cannot be compared
	return a != nil && a == b
}

// input is the file that the program reads, fed by a copy if need be.
func (r *unitRun) input(c *Cmd) (*os.File, error) {
	switch in := c.Stdin.(type) {
	case nil:
		return c.machine.host.null, nil
	case *os.File:
		return in, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.theirs, c.ours = append(c.theirs, read), append(c.ours, write)
	r.feed = func() error {
		_, err := io.Copy(write, c.Stdin)
		if errors.Is(err, unix.EPIPE) {
			err = nil // the program does not want more
		}
		return errors.Join(err, write.Close())
	}
	return read, nil
}

// output is the file that the program writes, emptied by a copy if need be.
func (r *unitRun) output(c *Cmd, to io.Writer) (*os.File, error) {
	switch out := to.(type) {
	case nil:
		return c.machine.host.null, nil
	case *os.File:
		return out, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.theirs, c.ours = append(c.theirs, write), append(c.ours, read)
	r.copies = append(r.copies, func() error {
		_, err := io.Copy(to, read)
		return errors.Join(err, read.Close())
	})
	return write, nil
}
