package nspawn

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const busSocket = "/run/dbus/system_bus_socket"

// bus connects to the machine's system bus, waiting until that is there.
func (m *Machine) bus(ctx context.Context) (*bus, error) {
	b, err := m.dialBus(ctx)
	if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ECONNREFUSED) {
		return b, err
	}
	w, err := newWatch()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for {
		if err := m.watchBus(w); err != nil {
			return nil, err
		}
		// Looked at before the socket is: what is ready has its bus by then.
		current := m.currentBoot()
		ready := current != nil && isClosed(current.ready)
		b, err := m.dialBus(ctx)
		switch {
		case errors.Is(err, unix.ECONNREFUSED): // bound, but listened on only in a moment, which no event tells
			err = m.pause(ctx, time.Millisecond)
		case !errors.Is(err, unix.ENOENT):
			return b, err
		case ready:
			return nil, fmt.Errorf("the machine has no system bus; is dbus installed in it? %w", err)
		default:
			err = awaitBus(ctx, w, current)
		}
		if err != nil {
			return nil, fmt.Errorf("the machine's system bus is not up: %w", err)
		}
	}
}

// watchBus looks at the directories in which the socket appears.
func (m *Machine) watchBus(w *watch) error {
	l, err := m.leaderNow()
	if err != nil {
		return err
	}
	return onOwnThread(func() error {
		if err := l.joinFiles(); err != nil {
			return err
		}
		return errors.Join(w.add("/run"), w.add(filepath.Dir(busSocket)))
	})
}

// awaitBus blocks until something has appeared, or the machine is ready or over.
func awaitBus(ctx context.Context, w *watch, b *boot) error {
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-b.ready:
		case <-b.over:
		case <-either.Done():
		}
	}()
	if err := w.await(either); err != nil && either.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

func (m *Machine) dialBus(ctx context.Context) (*bus, error) {
	l, err := m.leaderNow()
	if err != nil {
		return nil, err
	}
	socket, err := l.openPath(busSocket)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", busSocket, err)
	}
	defer unix.Close(socket)
	conn, err := dialAsRoot(ctx, l, socket)
	if err != nil {
		return nil, err
	}
	// A machine that is frozen or hangs does not answer.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = conn.Auth(nil)
	if err == nil {
		err = conn.Hello()
	}
	if !stop() {
		err = context.Cause(ctx) // of the connection's end, too
	}
	if err != nil {
		return nil, errors.Join(err, ignoreClosed(conn.Close()))
	}
	return &bus{conn}, nil
}

// dialAsRoot connects as the machine's root, whom its bus lets in: with a user
// namespace, that is another user here.
func dialAsRoot(ctx context.Context, l *leader, socket int) (conn *dbus.Conn, err error) {
	dial := func() error {
		conn, err = dbus.Dial(fmt.Sprintf("unix:path=/proc/self/fd/%d", socket), dbus.WithContext(context.WithoutCancel(ctx)))
		return err
	}
	if l.root == 0 {
		return conn, dial()
	}
	err = onOwnThread(func() error {
		// Of this thread alone: the C library's and Go's change all.
		for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, ^uintptr(0), uintptr(l.root), ^uintptr(0)); errno != 0 {
				return fmt.Errorf("become the machine's root: %w", errno)
			}
		}
		return dial()
	})
	return conn, err
}

// openPath refers to a file of the machine without opening it, as the machine
// resolves its name.
func (l *leader) openPath(name string) (fd int, err error) {
	err = onOwnThread(func() error {
		if err := l.joinFiles(); err != nil {
			return err
		}
		fd, err = unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

// withBus does one thing over the machine's bus.
func (m *Machine) withBus(ctx context.Context, op string, do func(*bus) error) error {
	b, err := m.bus(ctx)
	if err == nil {
		err = errors.Join(busError(do(b)), ignoreClosed(b.Close()))
	}
	if err != nil {
		return &Error{Op: op + " in", Machine: m.Name(), Err: err}
	}
	return nil
}
