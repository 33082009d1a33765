package nspawn_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// shellRole is the program that a person runs in a terminal: a shell in a machine
// that another program has started.
const shellRole = "a shell for a person"

func playShell() error {
	ctx := context.Background()
	host, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: os.Getenv("NSPAWN_TEST_STATE")})
	if err != nil {
		return err
	}
	defer host.Close()
	m, err := host.Find(ctx, os.Getenv("NSPAWN_TEST_MACHINE"))
	if err != nil {
		return err
	}
	return m.Shell(ctx, nspawn.ShellOptions{})
}

// TestShellInTmux has a person at a real terminal.
func TestShellInTmux(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	state, dir := nspawntest.StateDir(t), t.TempDir()
	m := boot(t, openHost(t, nspawn.HostOptions{StateDir: state}), nspawn.Config{Name: "tmux"})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tmux := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("tmux", append([]string{"-S", filepath.Join(dir, "tmux"), "-f", "/dev/null"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("tmux %q: %v: %s", args, err, out)
		}
	}
	typed := func(line string) { t.Helper(); tmux("send-keys", "-l", line); tmux("send-keys", "Enter") }

	screen := filepath.Join(dir, "screen")
	if err := unix.Mkfifo(screen, 0o600); err != nil {
		t.Fatal(err)
	}
	tmux("new-session", "-d", "-x", "97", "-y", "31", "env", "PS1=outside> ", "sh")
	t.Cleanup(func() { tmux("kill-server") })
	shown, err := os.OpenFile(screen, os.O_RDWR, 0) // never at its end
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	tmux("pipe-pane", "cat >"+screen)
	seen := bufio.NewReader(shown)
	await := func(word string) {
		t.Helper()
		var text strings.Builder
		ctx := testContext(t)
		defer context.AfterFunc(ctx, func() { shown.Close() })()
		for !strings.Contains(text.String(), word) {
			c, err := seen.ReadByte()
			if err != nil {
				t.Fatalf("%q is not shown, but %q", word, text.String())
			}
			text.WriteByte(c)
		}
	}
	typed("stty -g >" + dir + "/before")
	typed(fmt.Sprintf("NSPAWN_TEST_ROLE='%s' NSPAWN_TEST_STATE=%s NSPAWN_TEST_MACHINE=%s %s; echo le''ft with $?", shellRole, state, m.Name(), self))
	await("# ")
	typed("echo in $(hostname) on $(stty size)")
	await("in " + shell(t, m, "hostname") + " on 31 97")
	tmux("resize-window", "-x", "80", "-y", "24")
	typed("trap 'echo now $(stty size)' WINCH; echo then $(stty size)")
	await("24 80")
	tmux("send-keys", "C-]", "C-]", "C-]")
	await("left with 0")
	typed("stty -g >" + dir + "/after; echo do''ne")
	await("done")
	before, err1 := os.ReadFile(filepath.Join(dir, "before"))
	after, err2 := os.ReadFile(filepath.Join(dir, "after"))
	if err1 != nil || err2 != nil || string(before) != string(after) || len(before) == 0 {
		t.Errorf("the terminal was %s and is %s: %v, %v", before, after, err1, err2)
	}
}
