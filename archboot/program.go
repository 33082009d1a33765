package archboot

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

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
