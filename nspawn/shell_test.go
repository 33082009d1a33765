package nspawn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// terminal is a terminal with someone in front of it.
type terminal struct {
	t            *testing.T
	person, plug *os.File // the person's side and the program's
	mu           sync.Mutex
	seen         bytes.Buffer
	grown        chan struct{} // closed when more is seen
	before       *unix.Termios
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	fd := int(person.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	plug, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, person: person, plug: plug, grown: make(chan struct{})}
	term.before = term.attributes()
	t.Cleanup(func() { plug.Close(); person.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := person.Read(buf)
			term.mu.Lock()
			term.seen.Write(buf[:n])
			close(term.grown)
			term.grown = make(chan struct{})
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return term
}

func (term *terminal) attributes() *unix.Termios {
	attributes, err := unix.IoctlGetTermios(int(term.plug.Fd()), unix.TCGETS)
	if err != nil {
		term.t.Fatal(err)
	}
	return attributes
}

func (term *terminal) size(rows, cols uint16) {
	if err := unix.IoctlSetWinsize(int(term.person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) typeKeys(keys string) {
	if _, err := term.person.WriteString(keys); err != nil {
		term.t.Error(err)
	}
}

// await waits until the person has seen a word that was not typed.
func (term *terminal) await(ctx context.Context, word string) {
	term.t.Helper()
	for {
		term.mu.Lock()
		seen, grown := term.seen.String(), term.grown
		term.mu.Unlock()
		if strings.Contains(seen, word) {
			return
		}
		select {
		case <-grown:
		case <-ctx.Done():
			term.t.Fatalf("%q was not shown, but %q", word, seen)
		}
	}
}

func (term *terminal) restored() {
	term.t.Helper()
	if after := term.attributes(); *after != *term.before {
		term.t.Errorf("the terminal is left changed: %+v, was %+v", after, term.before)
	}
}

// shellTest has the machine that all shells are opened in.
type shellTest struct {
	host *nspawn.Host
	m    *nspawn.Machine
}

func TestShell(t *testing.T) {
	t.Parallel()
	host := openHost(t, nspawn.HostOptions{})
	s := &shellTest{host, boot(t, host, nspawn.Config{Name: "shell"})}
	shell(t, s.m, "echo root:secret | chpasswd")
	for _, test := range []struct {
		name string
		run  func(*testing.T, *shellTest)
	}{
		{"exit status", testShellStatus},
		{"size is followed", testShellSize},
		{"left by the escape", testShellEscape},
		{"context", testShellContext},
		{"no such user", testShellUser},
		{"login", testShellLogin},
		{"login, left by the escape", testShellLoginEscape},
		{"not a terminal", testShellPipe},
		{"machine ends", testShellMachineEnds},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

// openShell has a person sit down before a shell of the machine.
func openShell(ctx context.Context, t *testing.T, m *nspawn.Machine, options nspawn.ShellOptions) (*terminal, <-chan error) {
	t.Helper()
	term := newTerminal(t)
	term.size(37, 123)
	options.Stdin, options.Stdout = term.plug, term.plug
	done := make(chan error, 1)
	go func() { done <- m.Shell(ctx, options) }()
	return term, done
}

func testShellStatus(t *testing.T, s *shellTest) {
	ctx := testContext(t)
	term, done := openShell(ctx, t, s.m, nspawn.ShellOptions{})
	term.typeKeys("echo on $(tty) $(stty size) as $(id -un) in $0\n")
	term.await(ctx, "on /dev/pts/")
	term.await(ctx, " 37 123 as root in -")
	term.typeKeys("exit 5\n")
	var exit *nspawn.ExitError
	if err := <-done; !errors.As(err, &exit) || exit.ExitCode() != 5 {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
}

func testShellSize(t *testing.T, s *shellTest) {
	ctx := testContext(t)
	term, done := openShell(ctx, t, s.m, nspawn.ShellOptions{})
	// The signal may come before the shell waits, and nothing else ends its wait.
	term.typeKeys("trap 'echo now $(stty size); exit 0' WINCH; sleep 1000 & echo set''up; wait\n")
	term.await(ctx, "setup")
	term.size(50, 60)
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	term.await(ctx, "now 50 60")
	if err := <-done; err != nil {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
}

func testShellEscape(t *testing.T, s *shellTest) {
	ctx := testContext(t)
	term, done := openShell(ctx, t, s.m, nspawn.ShellOptions{Command: []string{"sh", "-c", "trap '' HUP INT; echo re''ady; sleep 56789"}})
	term.await(ctx, "ready")
	term.typeKeys("\x1d\x1d\x1d")
	if err := <-done; err != nil {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
	if left := processes(t, "56789"); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
}

func testShellContext(t *testing.T, s *shellTest) {
	ctx, cancel := context.WithCancel(testContext(t))
	term, done := openShell(ctx, t, s.m, nspawn.ShellOptions{})
	term.typeKeys("echo re''ady\n")
	term.await(ctx, "ready")
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
}

func testShellUser(t *testing.T, s *shellTest) {
	term, done := openShell(testContext(t), t, s.m, nspawn.ShellOptions{User: "nobody-here"})
	if err := <-done; !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
}

func testShellLogin(t *testing.T, s *shellTest) {
	ctx := testContext(t)
	term, done := openShell(ctx, t, s.m, nspawn.ShellOptions{Login: true})
	term.await(ctx, "login:")
	term.typeKeys("root\n")
	term.await(ctx, "assword:")
	term.typeKeys("secret\n")
	term.await(ctx, "root@shell")
	term.typeKeys("echo with $((20+2)) on $(tty); kill -HUP $$\n")
	term.await(ctx, "with 22 on /dev/pts/")
	if err := <-done; err != nil && !errors.As(err, new(*nspawn.ExitError)) {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
}

func testShellLoginEscape(t *testing.T, s *shellTest) {
	ctx := testContext(t)
	term, done := openShell(ctx, t, s.m, nspawn.ShellOptions{Login: true})
	term.await(ctx, "login:")
	term.typeKeys("\x1d\x1d\x1d")
	if err := <-done; err != nil {
		t.Errorf("Shell: %v", err)
	}
	term.restored()
}

func testShellPipe(t *testing.T, s *shellTest) {
	var out bytes.Buffer
	err := s.m.Shell(testContext(t), nspawn.ShellOptions{Stdin: strings.NewReader("echo sum $((40+2)); exit 0\n"), Stdout: &out})
	if err != nil || !strings.Contains(out.String(), "sum 42") {
		t.Errorf("%v, %q", err, out.String())
	}
}

func testShellMachineEnds(t *testing.T, s *shellTest) {
	ctx := testContext(t)
	other := boot(t, s.host, nspawn.Config{Name: "shell2"})
	term, done := openShell(ctx, t, other, nspawn.ShellOptions{})
	term.typeKeys("echo re''ady\n")
	term.await(ctx, "ready")
	if err := other.Kill(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the shell of a killed machine ended well")
	}
	term.restored()
}

// processes lists the command lines on the whole host that hold a word.
func processes(t *testing.T, word string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if line, _ := os.ReadFile(file); strings.Contains(string(line), word) {
			found = append(found, string(line))
		}
	}
	return found
}
