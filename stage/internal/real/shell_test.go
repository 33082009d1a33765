package real

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
	"github.com/prologin/rig/stage/step"
)

// atTerminal is set for the process that a person at a terminal has started.
const atTerminal = "STAGE_TEST_AT_TERMINAL"

// prompt is root's.
const prompt = "# "

// TestShellAfterFailure is a person at a terminal who is given a shell in a machine whose
// stage failed, while another machine goes on, and who leaves it.
func TestShellAfterFailure(t *testing.T) {
	if os.Getenv(atTerminal) != "" {
		failWithShell(t)
		return
	}
	if why := os.Getenv(noRoot); why != "" || testing.Short() {
		t.Skip("no machines: " + why)
	}
	term := openTerminal(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestShellAfterFailure$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), atTerminal+"=yes", "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.user, term.user, term.user
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	before := term.settings()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended { // in good order, so that nothing is left
			_ = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait()
		}
	})
	term.await("leave it with exit")
	term.await(prompt)
	for _, at := range []struct{ typed, shown string }{
		{"stty size", "31 97"},
		{"cat /srv/half", "half done"},
		{"echo $((6*7)); cat /dev/null", "42"},
	} {
		term.enter(at.typed)
		term.await(at.typed) // its echo
		term.await(at.shown)
		term.await(prompt)
	}
	if picture := regexp.MustCompile(`\x1b\[\d+A\r\x1b\[J`); picture.MatchString(term.since("leave it with exit")) {
		t.Errorf("the picture of the machines was drawn over the shell: %q", term.since("leave it with exit"))
	}
	term.enter("exit")
	term.await("exit status 7")
	term.await("to look around")
	err := cmd.Wait()
	ended = true
	if err != nil {
		t.Errorf("%v: %s", err, term.seen.String())
	}
	if after := term.settings(); after != before {
		t.Errorf("the terminal's settings were %+v, and are %+v", before, after)
	}
}

// failWithShell is the program.
func failWithShell(t *testing.T) {
	ticks := "i=0; while [ $i -lt 40 ]; do echo tick $i; i=$((i+1)); sleep 0.05; done"
	s := newSite(t, 4<<30, stage.Plan{Name: "shell", Setups: []stage.Setup{
		{Machine: "gw", Stages: []stage.Stage{{Name: "half", Steps: []stage.Step{step.Script{Text: "echo half done >/srv/half; exit 7"}}}}},
		{Machine: "web", Stages: []stage.Stage{{Name: "ticks", Steps: []stage.Step{step.Script{Text: ticks}}}}},
	}})
	s.lab.Out = os.Stdout
	program := cli.Program{
		Name: "shell", Plan: func() (stage.Plan, error) { return s.plan, nil },
		Run: func(ctx context.Context, c *cli.Command) error {
			opened, err := stage.Open(s.plan, c.Options(stage.Options{StateDir: s.opts.StateDir, Targets: s.opts.Targets, Shell: s.lab.Shell}))
			if err != nil {
				return err
			}
			return c.Do(ctx, opened)
		},
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	if status := program.Exec(ctx, []string{"-on-failure", "shell"}, os.Stdout, os.Stderr); status != cli.Failed {
		t.Errorf("exit status %d", status)
	}
	for machine, want := range map[string]bool{"gw": false, "web": true} {
		if up, err := s.opts.Targets[machine].Machine.Running(t.Context()); err != nil || up != want {
			t.Errorf("afterwards %s is up: %v, %v; want %v", machine, up, err, want)
		}
	}
}

// terminal is a pseudo terminal, pty(7), of 97 columns and 31 rows.
type terminal struct {
	t    *testing.T
	ours *os.File
	user *os.File // the program's end
	seen bytes.Buffer
	read int // of what was seen
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
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
	return &terminal{t: t, ours: ours, user: user}
}

func (m *terminal) settings() unix.Termios {
	m.t.Helper()
	settings, err := unix.IoctlGetTermios(int(m.user.Fd()), unix.TCGETS)
	if err != nil {
		m.t.Fatal(err)
	}
	return *settings
}

func (m *terminal) enter(line string) {
	m.t.Helper()
	if _, err := m.ours.WriteString(line + "\r"); err != nil {
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
