package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// exitReboot is nspawn's exit status when the machine asked to be rebooted and
// --keep-unit leaves that to the supervisor.
const exitReboot = 133

// cleanupPatience bounds a clean-up, which no caller's context may cut short.
const cleanupPatience = 30 * time.Second

// start makes the first boot, and the goroutine that looks after the machine.
func (m *Machine) start(ctx context.Context) error {
	defer close(m.begun)
	b, err := m.starter().launch(ctx, m)
	if err != nil {
		return m.notStarted(err)
	}
	go m.supervise(b)
	select {
	case <-b.known:
		return nil
	case <-m.unwatched:
		if isClosed(b.known) {
			return nil // a short Command
		}
		if m.host.closing.Err() != nil {
			return errors.Join(ErrClosed, m.err)
		}
		return m.startFailure()
	case <-ctx.Done():
		noteErr := m.saveRecord((*record).noteScratch)
		killErr := m.cgroup().kill()
		<-m.unwatched
		return errors.Join(context.Cause(ctx), noteErr, killErr)
	}
}

// awaitStart blocks while another goroutine starts the machine, and fails with
// ErrNotFound if that fails.
func (m *Machine) awaitStart(ctx context.Context) error {
	select {
	case <-m.begun:
	case <-ctx.Done():
		return fmt.Errorf("it is being started: %w", context.Cause(ctx))
	}
	if isClosed(m.done) {
		return ErrNotFound
	}
	return nil
}

// notStarted ends a machine that could not be launched, unless it was so short-lived
// that nobody saw it run.
func (m *Machine) notStarted(err error) error {
	status := ExitStatus{Code: -1}
	var unseen *unseenLife
	if errors.As(err, &unseen) {
		status = unseen.status
	}
	m.finish(status, nil)
	close(m.unwatched)
	if unseen != nil && unseen.began {
		return nil
	}
	return m.fail("start", errors.Join(err, m.err))
}

// startFailure says why nspawn ended before the machine began.
func (m *Machine) startFailure() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := fmt.Errorf("systemd-nspawn ended with status %d before the machine began", m.exit.Code)
	if m.exit.Signal != 0 {
		err = fmt.Errorf("systemd-nspawn was killed by %v before the machine began", m.exit.Signal)
	}
	return &Error{Op: "start", Machine: m.record.Config.Name, Err: errors.Join(err, m.err), Console: m.console, Hint: m.endHint()}
}

// supervise owns the machine from its first boot to its end.
func (m *Machine) supervise(b *boot) {
	defer close(m.unwatched)
	for {
		err := b.nspawn.wait(m.host.closing)
		if err != nil && !isClosed(m.begun) && !isClosed(b.known) {
			// Nobody could find what has not begun, and Start says that it failed.
			err = errors.Join(m.cgroup().kill(), b.nspawn.wait(context.Background()))
		}
		if err != nil {
			m.detach(b)
			return
		}
		status := b.reap()
		b.close()
		close(b.over)
		next, err := m.nextBoot(status)
		if next == nil && m.lock == nil && m.host.closing.Err() != nil {
			return // it is the other program's to finish
		}
		if next == nil {
			m.finish(status, err)
			return
		}
		m.endUnwanted()
		close(b.next)
		b = next
	}
}

// endUnwanted kills a life that began although the machine is being stopped: what was to
// end it came between two lives and found nothing to end.
func (m *Machine) endUnwanted() {
	m.mu.Lock()
	unwanted := m.stopping
	m.mu.Unlock()
	if !unwanted {
		return
	}
	if err := m.cgroup().kill(); err != nil {
		m.host.log.Warn("cannot end the machine", "machine", m.Name(), "error", err)
	}
}

// nextBoot is the machine's life after one that is over, or nil.
func (m *Machine) nextBoot(status ExitStatus) (*boot, error) {
	if m.lock == nil {
		ctx, cancel := context.WithTimeout(m.host.closing, cleanupPatience)
		defer cancel()
		next, err := m.nextByOther(ctx)
		if next != nil {
			m.tell(EventRebooted, status)
		}
		if next != nil || err != nil || m.lock == nil {
			return next, err
		}
	}
	next, err := m.reboot(status)
	if err != nil {
		err = fmt.Errorf("it did not come back from its reboot: %w", err)
	}
	return next, err
}

// reboot starts the machine again if that is what its end meant.
func (m *Machine) reboot(status ExitStatus) (*boot, error) {
	m.mu.Lock()
	again := status.Code == exitReboot && m.lock != nil && !m.stopping && m.record.Config.Reboot == RebootAllow
	m.mu.Unlock()
	if !again || m.host.closing.Err() != nil {
		return nil, nil
	}
	m.tell(EventRebooted, status)
	ctx, cancel := context.WithTimeout(m.host.closing, cleanupPatience)
	defer cancel()
	if err := m.saveRecord(func(r *record) { r.Reboots++ }); err != nil {
		return nil, err
	}
	return m.starter().relaunch(ctx, m)
}

// starter is what started the machine.
func (m *Machine) starter() starter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.host.starters[m.record.Launcher]
}

// detach stops looking after a machine that goes on.
func (m *Machine) detach(b *boot) {
	if b.child {
		go b.reap() // it stays our child for as long as this program lives
	}
	b.close()
	if m.lock != nil {
		m.lock.release()
	}
}

// finish removes what the machine leaves behind and says that it has ended; failed
// is what went wrong before.
func (m *Machine) finish(status ExitStatus, failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
	defer cancel()
	console := m.Console(consoleLines)
	err := failed
	if m.lock != nil {
		m.mu.Lock()
		rec := m.record
		m.mu.Unlock()
		err = errors.Join(failed, m.host.clean(ctx, &rec, m.dir), m.lock.release())
	}
	m.host.forget(m)
	m.mu.Lock()
	status.Forced = m.exit.Forced
	m.exit, m.err, m.console, m.boot = status, fail("clean up", m.record.Config.Name, err), console, nil
	if m.console == nil {
		m.console = []string{}
	}
	m.mu.Unlock()
	m.tell(EventExited, status)
	close(m.done)
}

// clean removes everything that a machine may have left. It succeeds where
// there is nothing, and is called with the machine's lock held.
func (h *Host) clean(ctx context.Context, rec *record, dir string) error {
	s, err := h.starterOf(rec)
	if err != nil {
		return err
	}
	rec.noteScratch()
	errs := []error{s.clean(ctx, rec), h.removeLinks(rec)}
	errs = append(errs, rec.removeRootLock(), rec.removeSnapshots(), rec.removeWorkDirs(), rec.removeScratch(), removeRecord(dir))
	return errors.Join(errs...)
}

// removeRecord removes a machine's directory of records, whose lock is held. The lock goes
// last: from then on the directory is for others to use, who may put a lock of theirs there
// before it is gone, and a record of a machine of the same name.
func removeRecord(dir string) error {
	entries, err := os.ReadDir(dir)
	errs := []error{err}
	for _, e := range entries {
		if e.Name() != lockName {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	for _, path := range []string{filepath.Join(dir, lockName), dir} {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
