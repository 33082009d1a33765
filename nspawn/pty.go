package nspawn

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// pty is a pair of the machine's own devpts, so that programs inside find their
// terminal under the name that the kernel tells them.
type pty struct{ master, slave *os.File }

// openPTY makes a pair in the machine.
func openPTY(l *leader) (*pty, error) {
	var pair *pty
	err := onOwnThread(func() error {
		if err := l.join(); err != nil {
			return err
		}
		fd, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open /dev/pts/ptmx in the machine: %w", err)
		}
		pair, err = unlockPTY(fd)
		return err
	})
	return pair, err
}

// unlockPTY takes a multiplexer's descriptor and opens the other end without
// going by any path.
func unlockPTY(fd int) (*pty, error) {
	// TIOCSPTLCK fails on whatever else may have been put in ptmx's place.
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("unlock the terminal: %w", err), unix.Close(fd))
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, errors.Join(fmt.Errorf("open the other end of the terminal: %w", errno), unix.Close(fd))
	}
	return &pty{master: os.NewFile(uintptr(fd), "ptmx"), slave: os.NewFile(slave, "pts")}, nil
}

// connect makes the pair the terminal of a unit, for which it has to belong to the
// machine's root.
func (p *pty) connect(l *leader, add func(string, any)) error {
	if err := p.slave.Chown(int(l.root), -1); err != nil {
		return err
	}
	conn, err := p.master.SyscallConn()
	if err != nil {
		return err
	}
	var number int
	var failed error
	if err := conn.Control(func(fd uintptr) { number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN) }); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	add("TTYPath", fmt.Sprintf("/dev/pts/%d", number))
	for _, stream := range []string{"StandardInput", "StandardOutput", "StandardError"} {
		add(stream, "tty")
	}
	add("SendSIGHUP", true)
	return nil
}

// resize gives the pair the size of a terminal here.
func (p *pty) resize(from int) {
	if size, err := unix.IoctlGetWinsize(from, unix.TIOCGWINSZ); err == nil {
		if conn, err := p.master.SyscallConn(); err == nil {
			_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
		}
	}
}

// Close closes both ends; closing twice does no harm.
func (p *pty) Close() error {
	return errors.Join(p.master.Close(), ignoreClosed(p.slave.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
