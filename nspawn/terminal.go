package nspawn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// localTerminal is the user's side.
type localTerminal struct {
	in      io.Reader
	fd      int // of a terminal; -1 otherwise
	saved   *term.State
	signals chan os.Signal
	copied  chan struct{} // closed when copyTo has returned
	sized   chan struct{} // closed when the size is no longer followed
	wake    [2]*os.File   // a pipe; closing its second end ends the wait for input
}

// openLocal puts the terminal in raw mode and makes the machine's follow its size.
func openLocal(in io.Reader, pair *pty) (*localTerminal, error) {
	t := &localTerminal{in: in, fd: -1, copied: make(chan struct{}), sized: make(chan struct{})}
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return t, nil
	}
	t.fd = int(file.Fd())
	var err error
	if t.wake[0], t.wake[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	if t.saved, err = term.MakeRaw(t.fd); err != nil {
		closeAll(t.wake[:])
		return nil, fmt.Errorf("raw mode: %w", err)
	}
	t.signals = make(chan os.Signal, 1)
	signal.Notify(t.signals, unix.SIGWINCH)
	pair.resize(t.fd)
	go func() {
		defer close(t.sized)
		for range t.signals {
			pair.resize(t.fd)
		}
	}()
	return t, nil
}

// copyTo passes on what is typed, until three ^] within a second.
func (t *localTerminal) copyTo(w io.Writer) error {
	defer close(t.copied)
	var escape escapeDetector
	buf := make([]byte, 4096)
	for {
		if t.fd >= 0 && !t.awaitInput() {
			return nil
		}
		n, err := t.in.Read(buf)
		keep, left := escape.scan(buf[:n], time.Now())
		if len(keep) > 0 {
			if _, err := w.Write(keep); err != nil {
				return nil // the shell has ended
			}
		}
		if left {
			return errLeft
		}
		if err == io.EOF {
			_, _ = w.Write([]byte{4}) // ^D
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from the terminal: %w", err)
		}
	}
}

// awaitInput blocks until there is something to read, so that no read is left
// behind that would take the next key typed. It is false once stopped.
func (t *localTerminal) awaitInput() bool {
	poll := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}, {Fd: int32(t.wake[0].Fd())}}
	for {
		if _, err := unix.Poll(poll, -1); err != unix.EINTR {
			return err == nil && poll[1].Revents == 0
		}
	}
}

// Close ends the copying and restores the terminal.
func (t *localTerminal) Close() error {
	if t.fd < 0 {
		return nil
	}
	signal.Stop(t.signals)
	close(t.signals)
	<-t.sized
	err := t.wake[1].Close()
	<-t.copied
	return errors.Join(err, t.wake[0].Close(), term.Restore(t.fd, t.saved))
}

// abandon is Close before any copying began.
func (t *localTerminal) abandon() error {
	close(t.copied)
	return t.Close()
}

// escapeDetector notices ^] typed three times within a second, as nspawn does.
type escapeDetector struct{ typed []time.Time }

const escapeKey = 0x1d

// scan returns what to pass on, and whether to leave.
func (d *escapeDetector) scan(keys []byte, now time.Time) (keep []byte, left bool) {
	for i, key := range keys {
		if key != escapeKey {
			d.typed = d.typed[:0]
			continue
		}
		d.typed = append(d.typed, now)
		if len(d.typed) < 3 {
			continue
		}
		d.typed = d.typed[len(d.typed)-3:]
		if now.Sub(d.typed[0]) <= time.Second {
			return keys[:i], true
		}
	}
	return keys, false
}
