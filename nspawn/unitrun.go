package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// finish waits for the end of the unit and of the copying. As with exec.Cmd, what the
// program's status says counts for more than what became of the copying.
func (r *unitRun) finish(c *Cmd) error {
	defer r.bus.Close()
	status, err := r.await(c)
	copyErr := r.awaitCopies(c)
	_ = r.bus.manager(context.Background(), "UnrefUnit", r.name).Err
	if err == nil && status != (ExitStatus{}) {
		return c.exitError(status.Code, status.Signal)
	}
	return errors.Join(err, copyErr)
}

// awaitCopies waits for the end of the copying, but no longer than WaitDelay. The unit's
// processes are all gone, so that outputs end by themselves; an input may not.
func (r *unitRun) awaitCopies(c *Cmd) (err error) {
	var late <-chan time.Time
	if c.WaitDelay > 0 {
		late = time.After(c.WaitDelay)
	}
	for range r.copies {
		select {
		case copyErr := <-r.copied:
			err = errors.Join(err, copyErr)
		case <-late:
			c.tail = nil // it may be written to
			return errors.Join(err, exec.ErrWaitDelay)
		}
	}
	if r.feed == nil {
		return err
	}
	select {
	case copyErr := <-r.fed:
		return errors.Join(err, copyErr)
	case <-late:
		return errors.Join(err, exec.ErrWaitDelay)
	}
}

// await follows the unit to its end, which the end of the context brings about.
func (r *unitRun) await(c *Cmd) (status ExitStatus, err error) {
	w := &unitWatch{bus: r.bus, unit: r.name, changed: r.changed}
	for {
		state, err := w.state(context.Background())
		if err != nil {
			return status, fmt.Errorf("%w: %w", ErrNotRunning, err)
		}
		if state.active == "inactive" || state.active == "failed" {
			if state.code == cldExited {
				return ExitStatus{Code: int(state.status)}, nil
			}
			if c.ctx.Err() != nil {
				return status, context.Cause(c.ctx)
			}
			return ExitStatus{Code: -1, Signal: unix.Signal(state.status)}, nil
		}
		if w.await(c.ctx) != nil && c.ctx.Err() != nil {
			if c.Cancel != nil {
				err = c.Cancel()
			} else {
				r.kill()
			}
			if err = errors.Join(err, w.await(context.Background())); err != nil {
				return status, err
			}
		}
	}
}

// cldExited is CLD_EXITED of waitid(2).
const cldExited = 1

// kill ends every process of the unit.
func (r *unitRun) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = r.bus.manager(ctx, "KillUnit", r.name, "all", int32(syscall.SIGKILL)).Err
}
