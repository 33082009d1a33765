package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ShellOptions choose what an interactive shell runs and where it talks. The
// zero value is root's login shell on the program's own terminal.
type ShellOptions struct {
	// User is whose shell it is; empty is root.
	User string
	// Command replaces the user's login shell.
	Command []string
	// Login asks for a name and a password instead: User and Command are not used.
	Login bool
	// Stdin and Stdout default to those of this program. If Stdin is a
	// terminal it is in raw mode meanwhile, and its size is followed.
	Stdin  io.Reader
	Stdout io.Writer
	// Term is the kind of terminal; empty is $TERM, or "linux".
	Term string
}

// Shell runs an interactive shell on a terminal of the machine's own, until the
// shell ends, ^] is typed three times within a second, the context ends or the
// machine does. Whichever it is, the local terminal is as it was before. The
// error is nil when the shell was left by ^] or ended well, and an *ExitError
// when it ended otherwise.
func (m *Machine) Shell(ctx context.Context, options ShellOptions) error {
	return m.fail("open a shell in", m.shell(ctx, options))
}

func (m *Machine) shell(ctx context.Context, options ShellOptions) error {
	l, err := m.leaderNow()
	if err != nil {
		return err
	}
	if options.Stdin == nil {
		options.Stdin = os.Stdin
	}
	if options.Stdout == nil {
		options.Stdout = os.Stdout
	}
	pair, err := openPTY(l)
	if err != nil {
		return err
	}
	defer pair.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, err := m.shellCommand(ctx, options, pair)
	if err != nil {
		return err
	}
	local, err := openLocal(options.Stdin, pair)
	if err != nil {
		return err
	}
	defer local.Close()
	if err := cmd.Start(); err != nil {
		return err
	}
	return converse(cmd, pair, local, options.Stdout, cancel)
}

// shellCommand is the command on the machine's end of the terminal.
func (m *Machine) shellCommand(ctx context.Context, options ShellOptions, pair *pty) (*Cmd, error) {
	argv := options.Command
	user := options.User
	if options.Login {
		argv, user = []string{"/bin/login"}, ""
	}
	account, err := m.account(user)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		argv = []string{account.shell}
	}
	cmd := m.Command(ctx, argv[0], argv[1:]...)
	if len(options.Command) == 0 && !options.Login {
		cmd.Args[0] = "-" + cmd.Args[0] // a login shell
	}
	kind := orDefault(options.Term, os.Getenv("TERM"))
	cmd.User = user
	cmd.Env = append(account.environ(), "TERM="+orDefault(kind, "linux"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pair.slave, pair.slave, pair.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	return cmd, nil
}

// account looks a user up in the machine.
func (m *Machine) account(user string) (*account, error) {
	l, err := m.leaderNow()
	if err != nil {
		return nil, err
	}
	var found *account
	err = onOwnThread(func() error {
		if err := l.join(); err != nil {
			return err
		}
		found, err = lookupAccount(user)
		return err
	})
	return found, err
}

// converse copies both ways until one end is over.
func converse(cmd *Cmd, pair *pty, local *localTerminal, out io.Writer, cancel func()) error {
	pair.slave.Close() // the shell has its own; output ends with the last holder
	left := make(chan error, 1)
	go func() { left <- local.copyTo(pair.master) }()
	outputDone := make(chan struct{})
	go func() {
		defer close(outputDone)
		_, _ = io.Copy(out, pair.master) // EIO: no process holds the other end
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	select {
	case err := <-exited:
		// What a background job writes later is not waited for.
		grace := time.NewTimer(time.Second)
		defer grace.Stop()
		select {
		case <-outputDone:
		case <-grace.C:
		}
		local.stop()
		return err
	case err := <-left:
		if errors.Is(err, errLeft) {
			cancel()
			<-exited
			return nil
		}
		if err != nil {
			cancel()
			return errors.Join(err, ignoreExit(<-exited))
		}
		return <-exited // the end of the input is the shell's to act upon
	}
}

func ignoreExit(err error) error {
	var exit *ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// errLeft means that ^] was typed three times.
var errLeft = errors.New("left")

// localTerminal is the user's side.
type localTerminal struct {
	in      io.Reader
	fd      int // of a terminal; -1 otherwise
	saved   *term.State
	signals chan os.Signal
	stopped chan struct{}
}

// openLocal puts the terminal in raw mode and makes the machine's follow its size.
func openLocal(in io.Reader, pair *pty) (*localTerminal, error) {
	t := &localTerminal{in: in, fd: -1, stopped: make(chan struct{})}
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return t, nil
	}
	t.fd = int(file.Fd())
	var err error
	if t.saved, err = term.MakeRaw(t.fd); err != nil {
		return nil, fmt.Errorf("raw mode: %w", err)
	}
	t.signals = make(chan os.Signal, 1)
	signal.Notify(t.signals, unix.SIGWINCH)
	pair.resize(t.fd)
	go func() {
		for range t.signals {
			pair.resize(t.fd)
		}
	}()
	return t, nil
}

// copyTo passes on what is typed, until three ^] within a second.
func (t *localTerminal) copyTo(w io.Writer) error {
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
	for !isClosed(t.stopped) {
		poll := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(poll, 50); n > 0 || err != nil && err != unix.EINTR {
			return true
		}
	}
	return false
}

func (t *localTerminal) stop() { close(t.stopped) }

// Close restores the terminal.
func (t *localTerminal) Close() error {
	if !isClosed(t.stopped) {
		t.stop()
	}
	if t.saved == nil {
		return nil
	}
	signal.Stop(t.signals)
	close(t.signals)
	return term.Restore(t.fd, t.saved)
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
