package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Machine is a machine that was started. It may be used by several goroutines
// at once, and stays usable for questions after the machine has ended.
type Machine struct {
	host  *Host
	dir   string    // its state directory
	lock  *lockFile // held by the program that supervises it; nil elsewhere
	calls calls

	// begun is closed when Start is over, done when the machine has ended and
	// everything of it is gone, unwatched when this program no longer looks after it.
	begun, done, unwatched chan struct{}

	mu       sync.Mutex
	record   record
	boot     *boot // the present one; replaced when the machine reboots
	stopping bool
	exit     ExitStatus
	console  []string // its last lines, once the log is gone
	err      error    // of the clean-up
}

// boot is one life of a machine, from its first process to the end of it.
type boot struct {
	nspawn  *pidfd
	child   bool              // whether nspawn is a child of this program
	reap    func() ExitStatus // gives the status of an nspawn that has ended
	leader  *leader           // nil until known is closed
	notify  *notifySocket     // of the direct launcher
	release func()            // ends what follows the machine otherwise

	known, ready, over chan struct{} // closed as they come true
	next               chan struct{} // closed when the boot after this is there
}

// ExitStatus says how a machine ended.
type ExitStatus struct {
	// Code is the exit status of its first process, 0 after a power-off, or
	// -1 when it is not known: the machine was killed, or ended unseen.
	Code int
	// Signal killed systemd-nspawn, if one did.
	Signal unix.Signal
	// Forced is the step of Stop that was needed beyond a request: "",
	// "terminate" or "kill".
	Forced string
}

// Name is the machine's name.
func (m *Machine) Name() string { return m.config().Name }

// Root is the directory that the machine was booted from.
func (m *Machine) Root() string { return m.config().Root }

// Config is what the machine was started with. Credentials are left out.
func (m *Machine) Config() Config { return m.config() }

func (m *Machine) config() Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Config
}

// Leader is the process ID of the machine's first process, as the host counts,
// or 0 when the machine has ended.
func (m *Machine) Leader() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot == nil || m.boot.leader == nil {
		return 0
	}
	return m.boot.leader.pid
}

// LeaderPidfd returns a descriptor of the machine's first process, which pidfd
// system calls take: it stands for this process and no later one. The caller
// closes it. The error matches ErrNotRunning when the machine has ended.
func (m *Machine) LeaderPidfd() (*os.File, error) {
	l, err := m.leaderNow()
	if err != nil {
		return nil, m.fail("refer to", err)
	}
	file, err := l.fd.duplicate()
	return file, m.fail("refer to", err)
}

// endError is why a machine that is no longer watched cannot be waited for.
func (m *Machine) endError() error {
	select {
	case <-m.done:
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.exit.Signal != 0 {
			return fmt.Errorf("%w: its systemd-nspawn was killed by %v", ErrNotRunning, m.exit.Signal)
		}
		return fmt.Errorf("%w: it ended with status %d", ErrNotRunning, m.exit.Code)
	default:
		return ErrClosed
	}
}

// initGaveUp is the status of a systemd that cannot go on as a container's first
// process.
const initGaveUp = 255

// endHint says what may have kept the machine from running. The machine is locked.
func (m *Machine) endHint() string {
	if m.exit.Code != initGaveUp || len(m.record.Config.Command) > 0 {
		return ""
	}
	f := findInotify(context.Background())
	if !errors.Is(f.Err, ErrNotSupported) {
		return ""
	}
	return "its init gave up, as for want of inotify instances, of which there are " + f.Detail + ": " + f.Remedy
}

// Wait blocks until the machine has ended for good, reboots not counted, and
// everything of it is gone from the host. The error is that of the clean-up or of a
// reboot that failed, the context's, or matches ErrClosed when its Host was closed.
func (m *Machine) Wait(ctx context.Context) (ExitStatus, error) {
	select {
	case <-m.unwatched:
	case <-ctx.Done():
		return ExitStatus{Code: -1}, m.fail("wait for", context.Cause(ctx))
	}
	select {
	case <-m.done:
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.exit, m.err
	default:
		return ExitStatus{Code: -1}, m.fail("wait for", ErrClosed)
	}
}

// Console returns the last lines, at most n, that the machine has written to
// its console.
func (m *Machine) Console(n int) []string {
	n = max(0, n)
	m.mu.Lock()
	kept := m.console
	m.mu.Unlock()
	if kept == nil {
		kept = lastLines(filepath.Join(m.dir, "console"), n)
	}
	return kept[max(0, len(kept)-n):]
}

// fail makes an error about this machine, with its console where that may help.
func (m *Machine) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	e := &Error{Op: op, Machine: m.Name(), Err: err, Console: m.Console(consoleLines)}
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Hint = m.endHint()
	return e
}

func (m *Machine) currentBoot() *boot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot
}

// leaderNow is the machine's first process, or ErrNotRunning.
func (m *Machine) leaderNow() (*leader, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.boot == nil || m.boot.leader == nil {
		return nil, ErrNotRunning
	}
	return m.boot.leader, nil
}

// cgroup is the machine's control group.
func (m *Machine) cgroup() cgroup {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.record.Cgroup
}

// saveRecord changes the record and writes it, if this program supervises the
// machine.
func (m *Machine) saveRecord(change func(*record)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.record)
	if m.lock == nil {
		return nil
	}
	return m.record.save(m.dir)
}

func newBoot() *boot {
	return &boot{
		known: make(chan struct{}), ready: make(chan struct{}), over: make(chan struct{}), next: make(chan struct{}),
	}
}

// close lets go of a boot that is over or no longer watched.
func (b *boot) close() {
	if b.notify != nil {
		b.notify.Close()
	}
	if b.release != nil {
		b.release()
	}
	if b.leader != nil {
		b.leader.fd.Close()
	}
	if b.nspawn != nil {
		b.nspawn.Close()
	}
}

// notified takes in what nspawn or the machine's manager reports.
func (m *Machine) notified(b *boot, n notification) {
	if n.leader != 0 && !isClosed(b.known) {
		l, err := m.host.newLeader(n.leader, m.cgroup())
		if err != nil {
			m.host.log.Debug("machine's first process is gone already", "machine", m.Name(), "error", err)
		} else if err := m.host.setMAC(l, m.config().Network.MAC); err != nil {
			m.host.log.Warn("cannot set the address of host0", "machine", m.Name(), "error", err)
		}
		m.mu.Lock()
		b.leader = l
		m.mu.Unlock()
		var scratch []string
		if config := m.config(); config.wantsScratch() {
			if scratch, err = findScratch(n.leader); err != nil {
				m.host.log.Warn("cannot tell what nspawn made for binds without a source", "machine", m.Name(), "error", err)
			}
		}
		m.advance(phaseRunning, func(r *record) { r.Leader, r.Scratch = n.leader, scratch })
		m.tell(EventStarted, ExitStatus{})
		close(b.known)
	}
	if n.ready && isClosed(b.known) && !isClosed(b.ready) {
		m.advance(phaseReady, func(*record) {})
		m.tell(EventReady, ExitStatus{})
		close(b.ready)
	}
}

// advance writes down how far the machine has come.
func (m *Machine) advance(p phase, also func(*record)) {
	err := m.saveRecord(func(r *record) {
		r.Phase = p
		also(r)
	})
	if err != nil {
		m.host.log.Warn("cannot record the machine's state", "machine", m.Name(), "error", err)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
