package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// followRecord closes the boot's ready when the program that supervises the
// machine has written that it is.
func (m *Machine) followRecord(b *boot) error {
	w, err := newWatch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	b.release = func() {
		cancel()
		<-stopped
		w.Close()
	}
	go func() {
		defer close(stopped)
		for {
			if w.add(m.dir) != nil {
				return
			}
			if rec, err := m.loadOwn(); err == nil && rec.Nspawn == b.nspawn.pid && rec.isReady() {
				m.notified(b, notification{ready: true})
				return
			}
			if w.await(ctx) != nil {
				return
			}
		}
	}()
	return nil
}

// nextByOther waits until the program that supervises the machine has started it
// again after its end, or has removed what it left: then there is no next boot. If
// that program is dead this one takes its place, and the machine has its lock.
func (m *Machine) nextByOther(ctx context.Context) (*boot, error) {
	w, err := newWatch()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	m.mu.Lock()
	last := m.record.Nspawn
	m.mu.Unlock()
	for {
		if err := w.add(m.dir); err != nil {
			return nil, err
		}
		rec, err := m.loadOwn()
		if err == nil && rec.Nspawn != last && rec.Leader != 0 {
			if b, err := m.rejoin(ctx, rec); err == nil {
				return b, nil
			}
			last = rec.Nspawn // it has ended, too
		}
		if err == nil {
			err = m.succeed()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if !errors.Is(err, ErrBusy) {
			return nil, err
		}
		if err := w.awaitOther(ctx); err != nil {
			return nil, fmt.Errorf("the program that supervises the machine does not clean up: %w", err)
		}
	}
}

// loadOwn reads the record that another program keeps of the machine. That of a later
// machine, which has been given the name at once, is none of it: fs.ErrNotExist.
func (m *Machine) loadOwn() (*record, error) {
	rec, err := loadRecord(m.dir)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !rec.Started.Equal(m.record.Started) {
		return nil, fs.ErrNotExist
	}
	return rec, nil
}

// rejoin takes up a life that another program has begun.
func (m *Machine) rejoin(ctx context.Context, rec *record) (*boot, error) {
	m.mu.Lock()
	m.record = *rec
	m.mu.Unlock()
	return m.starter().rejoin(ctx, m)
}

// succeed takes the lock of a machine whose supervisor is dead, and fails with
// ErrBusy while it lives.
func (m *Machine) succeed() error {
	lock, err := tryLock(filepath.Join(m.dir, lockName))
	if err != nil {
		return err
	}
	if _, err := m.loadOwn(); err != nil {
		return errors.Join(err, lock.release())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lock = lock
	return nil
}

// awaitOther is await for what another program does. That it dies is no event.
func (w *watch) awaitOther(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	if err := w.await(look); err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
