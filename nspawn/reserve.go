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

// reserve takes the name and the root for a machine and writes its record. No
// other Start or Find on the same state directory interferes.
func (h *Host) reserve(ctx context.Context, config Config) (*Machine, error) {
	root, err := inodeOf(config.Root)
	if err != nil {
		return nil, err
	}
	release, err := h.lockState(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := h.checkTaken(ctx, &config, root); err != nil {
		return nil, err
	}
	m, err := h.newMachine(ctx, config.Name)
	if err != nil {
		return nil, err
	}
	m.record = record{
		Config: config, Launcher: h.launcher, BootID: bootID(), Cgroup: h.starters[h.launcher].place(config.Name), Root: root,
		Phase: phaseStarting, Started: time.Now(),
	}
	err = m.record.save(m.dir)
	if err == nil {
		err = h.remember(m)
	}
	if err != nil {
		return nil, errors.Join(err, removeRecord(m.dir), m.lock.release())
	}
	return m, nil
}

// newMachine makes and locks the state directory.
func (h *Host) newMachine(ctx context.Context, name string) (m *Machine, err error) {
	m = &Machine{
		host: h, dir: filepath.Join(h.dir, name),
		begun: make(chan struct{}), done: make(chan struct{}), unwatched: make(chan struct{}),
	}
	m.lock, err = lockDir(ctx, m.dir)
	return m, err
}

// lockDir makes and locks the state directory of a machine that does not exist. The last one
// of that name may be on the point of removing it, and whoever looks for it may hold the lock.
func lockDir(ctx context.Context, dir string) (*lockFile, error) {
	for delay := time.Millisecond; ; delay = min(2*delay, 50*time.Millisecond) {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		lock, err := tryLock(filepath.Join(dir, lockName))
		if !errors.Is(err, ErrBusy) && !errors.Is(err, fs.ErrNotExist) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, context.Cause(ctx))
		case <-time.After(delay):
		}
	}
}

// checkTaken refuses a name or a root that is in use, after sweeping what is
// only left over. The state is locked.
func (h *Host) checkTaken(ctx context.Context, config *Config, root inode) error {
	names, err := h.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		dir := filepath.Join(h.dir, name)
		other, lock, err := h.examine(ctx, dir)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if lock != nil {
			lock.release()
		}
		if name == config.Name {
			return &Error{Op: "start", Machine: name, Err: ErrExists, Hint: "a machine of that name runs; stop it first"}
		}
		mine := record{Config: *config}
		if other.Root == root && (other.exclusive() || mine.exclusive()) {
			return &Error{Op: "start", Machine: config.Name, Err: ErrBusy,
				Hint: fmt.Sprintf("machine %s runs on the root %s", name, config.Root)}
		}
	}
	return nil
}

// examine looks at a state directory: a machine that is alive gives its record,
// and its lock if nobody supervises it; anything else is swept and ErrNotFound.
func (h *Host) examine(ctx context.Context, dir string) (*record, *lockFile, error) {
	lock, err := tryLock(filepath.Join(dir, lockName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, ErrNotFound
	}
	if errors.Is(err, ErrBusy) {
		rec, err := loadRecord(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, ErrNotFound // it ends at this moment
		}
		return rec, nil, err
	}
	if err != nil {
		return nil, nil, err
	}
	rec, err := loadRecord(dir)
	var errno unix.Errno
	if errors.As(err, &errno) && errno != unix.ENOENT {
		return nil, nil, errors.Join(err, lock.release()) // there may be one of a machine that runs
	}
	if err != nil {
		// Missing or no record: nothing was started before it was written.
		name := filepath.Base(dir)
		rec = &record{Config: Config{Name: name}, Launcher: h.launcher, Cgroup: h.starters[h.launcher].place(name), BootID: bootID()}
	}
	s, err := h.starterOf(rec)
	alive := false
	if err == nil {
		alive, err = s.alive(ctx, rec)
	}
	if alive {
		return rec, lock, nil
	}
	if err == nil {
		h.log.Info("sweeping what a dead machine left", "machine", rec.Config.Name)
		err = h.clean(ctx, rec, dir)
	}
	if err = errors.Join(err, lock.release()); err != nil {
		return nil, nil, fail("sweep", rec.Config.Name, err)
	}
	return nil, nil, ErrNotFound
}

// adopt makes a Machine of one that another program started, waiting while that
// is still at it: each step changes the record.
func (h *Host) adopt(ctx context.Context, name string) (*Machine, error) {
	if machineNameProblem(name) != "" {
		return nil, ErrNotFound
	}
	m, err := h.adoptNow(ctx, name)
	if !errors.Is(err, errStarting) {
		return m, err
	}
	w, err := newWatch()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for {
		if err := w.add(filepath.Join(h.dir, name)); err != nil {
			return nil, err
		}
		if m, err = h.adoptNow(ctx, name); !errors.Is(err, errStarting) {
			return m, err
		}
		if waitErr := w.awaitOther(ctx); waitErr != nil {
			return nil, errors.Join(err, waitErr)
		}
	}
}

// errStarting means that another program is starting the machine.
var errStarting = fmt.Errorf("another program is starting it: %w", ErrBusy)

func (h *Host) adoptNow(ctx context.Context, name string) (*Machine, error) {
	dir := filepath.Join(h.dir, name)
	if !present(dir) {
		return nil, ErrNotFound
	}
	release, err := h.lockState(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	// Another goroutine may have found or reserved it meanwhile.
	if m, err := h.listed(name); m != nil || err != nil {
		return m, err
	}
	rec, lock, err := h.examine(ctx, dir)
	if err != nil {
		return nil, err
	}
	if rec.Leader == 0 {
		return nil, errStarting
	}
	m := &Machine{
		host: h, dir: dir, lock: lock, record: *rec,
		begun: make(chan struct{}), done: make(chan struct{}), unwatched: make(chan struct{}),
	}
	close(m.begun)
	s, err := h.starterOf(rec)
	var b *boot
	if err == nil {
		b, err = s.rejoin(ctx, m)
	}
	if err == nil {
		err = h.remember(m)
	}
	if err != nil {
		if b != nil {
			b.close()
		}
		if lock != nil {
			err = errors.Join(err, lock.release())
		}
		return nil, err
	}
	go m.supervise(b)
	return m, nil
}

// lockState waits for the lock that orders reservations among programs.
func (h *Host) lockState(ctx context.Context) (release func(), err error) {
	path := filepath.Join(h.dir, ".lock")
	for delay := time.Millisecond; ; delay = min(2*delay, 50*time.Millisecond) {
		// Another Host that is closed removes the directory as long as nothing is in it.
		var lock *lockFile
		err := os.MkdirAll(h.dir, 0o700)
		if err == nil {
			lock, err = tryLock(path)
		}
		if err == nil {
			return func() {
				os.Remove(path)
				lock.release()
			}, nil
		}
		if !errors.Is(err, ErrBusy) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		// A lock of this kind has no event that a context could end.
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(delay):
		}
	}
}

// listed is the machine of that name in this Host's list, or nil.
func (h *Host) listed(name string) (*Machine, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	return h.machines[name], nil
}

// remember and forget keep the list.
func (h *Host) remember(m *Machine) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	h.machines[m.record.Config.Name] = m
	return nil
}

func (h *Host) forget(m *Machine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if name := m.Name(); h.machines[name] == m {
		delete(h.machines, name)
	}
}
