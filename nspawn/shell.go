package nspawn

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
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
	if err := cmd.Start(); err != nil {
		return errors.Join(err, local.abandon())
	}
	return errors.Join(converse(cmd, pair, local, options.Stdout, cancel), local.Close())
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
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.tty = pair.slave, pair.slave, pair.slave, pair
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
	left := make(chan error, 1)
	go func() { left <- local.copyTo(pair.master) }()
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		_, _ = io.Copy(out, pair.master) // ends when nobody holds the other end
	}()
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	defer func() {
		// Held until now: login(1) hangs up its terminal and opens it again. What
		// a job in the background writes later is not waited for.
		pair.slave.Close()
		_ = pair.master.SetReadDeadline(time.Now().Add(outputGrace))
		<-shown
	}()

	select {
	case err := <-exited:
		return err
	case err := <-left:
		if err == nil {
			return <-exited // the end of the input is the shell's to act upon
		}
		cancel()
		err = errors.Join(err, ignoreExit(<-exited))
		if errors.Is(err, errLeft) {
			return nil
		}
		return err
	}
}

// outputGrace is how long output is still shown after the shell has ended.
const outputGrace = 200 * time.Millisecond

func ignoreExit(err error) error {
	var exit *ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// errLeft means that ^] was typed three times.
var errLeft = errors.New("left")
