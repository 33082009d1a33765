package nspawn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const busSocket = "/run/dbus/system_bus_socket"

// bus connects to the machine's system bus, waiting until that is there.
func (m *Machine) bus(ctx context.Context) (*bus, error) {
	// The socket appears some time before readiness, which no event tells.
	for delay := time.Millisecond; ; delay = min(2*delay, 100*time.Millisecond) {
		b, err := m.dialBus(ctx)
		if err == nil || !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ECONNREFUSED) {
			return b, err
		}
		if b := m.currentBoot(); b != nil && isClosed(b.ready) {
			return nil, fmt.Errorf("the machine has no system bus; is dbus installed in it? %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the machine's system bus is not up: %w", context.Cause(ctx))
		case <-time.After(delay):
		}
	}
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
	if !stop() && err == nil {
		err = context.Cause(ctx)
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
