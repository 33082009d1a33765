package real

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// atTerminal is set for the process that a person at a terminal has started.
const atTerminal = "STAGE_TEST_AT_TERMINAL"

// terminal is a pseudo terminal, pty(7), of 97 columns and 31 rows.
type terminal struct {
	t    *testing.T
	ours *os.File
	user *os.File // the program's end
	seen bytes.Buffer
	read int // of what was seen

	before unix.Termios
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	if why := os.Getenv(noRoot); why != "" || testing.Short() {
		t.Skip("no machines: " + why)
	}
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	conn, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	controlErr := conn.Control(func(fd uintptr) {
		unlock := unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		size := unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 31, Col: 97})
		number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		err = errors.Join(unlock, size, err)
	})
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
	user, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	m := &terminal{t: t, ours: ours, user: user}
	m.before = m.settings()
	return m
}

func (m *terminal) settings() unix.Termios {
	m.t.Helper()
	settings, err := unix.IoctlGetTermios(int(m.user.Fd()), unix.TCGETS)
	if err != nil {
		m.t.Fatal(err)
	}
	return *settings
}

// enter types keys.
func (m *terminal) enter(keys string) {
	m.t.Helper()
	if _, err := m.ours.WriteString(keys); err != nil {
		m.t.Fatal(err)
	}
}

// await reads until the text is shown, beyond what was awaited before.
func (m *terminal) await(text string) {
	m.t.Helper()
	m.ours.SetReadDeadline(time.Now().Add(time.Minute))
	for buf := make([]byte, 4<<10); ; {
		if at := strings.Index(m.seen.String()[m.read:], text); at >= 0 {
			m.read += at + len(text)
			return
		}
		n, err := m.ours.Read(buf)
		m.seen.Write(buf[:n])
		if err != nil {
			m.t.Fatalf("%q is not shown: %v: %q", text, err, m.seen.String())
		}
	}
}

// since returns what was shown from a text on.
func (m *terminal) since(text string) string {
	_, after, _ := strings.Cut(m.seen.String(), text)
	return after
}

// start runs the calling test again as a program at the terminal.
func (m *terminal) start() *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+m.t.Name()+"$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), atTerminal+"=yes", "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = m.user, m.user, m.user
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if cmd.ProcessState == nil { // in good order, so that nothing is left
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
	return cmd
}

// ends waits for the program, which must have succeeded and left the terminal as it was.
func (m *terminal) ends(cmd *exec.Cmd) {
	m.t.Helper()
	if err := cmd.Wait(); err != nil {
		m.t.Errorf("%v: %s", err, m.seen.String())
	}
	if now := m.settings(); now != m.before {
		m.t.Errorf("the terminal's settings were %+v, and are %+v", m.before, now)
	}
}
