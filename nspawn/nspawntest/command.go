package nspawntest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

func testCommand(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("command")})
	testCommandBy(t, m, true, m.Command)
}

func testCommandUnit(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("unit")})
	testCommandBy(t, m, false, m.CommandUnit)
	if got, err := m.CommandUnit(testContext(t), "sh", "-c", "cat /proc/self/cgroup | tail -1; grep Seccomp: /proc/self/status; echo $HOME $USER").Output(); err != nil ||
		!strings.Contains(string(got), "/system.slice/rig-command-") || !strings.Contains(string(got), "Seccomp:\t2") || !strings.Contains(string(got), "/root root") {
		t.Errorf("surroundings: %s, %v", got, err)
	}
	testEndlessInput(t, m)
	testLongCommand(t, m)
	ctx, cancel := context.WithCancel(testContext(t))
	cmd := m.CommandUnit(ctx, "sh", "-c", "setsid -f sleep 43210; echo ready; sleep 43210")
	begin(t, cmd, "ready\n")
	cancel()
	if err := cmd.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait after the context: %v", err)
	}
	if left := processes(t, "43210"); len(left) > 0 {
		t.Errorf("processes survive: %q", left)
	}
	if got := shell(t, m, "systemctl list-units --all --no-legend 'rig-command-*' | wc -l"); got != "0" {
		t.Errorf("%s units are left", got)
	}
}

// testEndlessInput has units end that could be given more: what they ended with counts.
func testEndlessInput(t *testing.T, m *nspawn.Machine) {
	t.Helper()
	endless, end := io.Pipe()
	defer end.Close()
	run := func(script string) error {
		cmd := m.CommandUnit(testContext(t), "sh", "-c", script)
		cmd.Stdin, cmd.WaitDelay = endless, 200*time.Millisecond
		_, err := cmd.Output()
		return err
	}
	if err := run("true"); !errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("success: %v", err)
	}
	var exit *nspawn.ExitError
	if err := run("echo why >&2; exit 3"); !errors.As(err, &exit) || exit.ExitCode() != 3 || string(exit.Stderr) != "why\n" {
		t.Errorf("failure: %v", err)
	}
}

// testLongCommand has a unit run while the machine's manager tells of much else, which
// is not kept.
func testLongCommand(t *testing.T, m *nspawn.Machine) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	cmd := m.CommandUnit(ctx, "sh", "-c", "echo ready; sleep 43210")
	begin(t, cmd, "ready\n")
	before := runtime.NumGoroutine()
	shell(t, m, "echo [Unit] >/run/systemd/system/many@.target; systemctl start $(seq -f many@%g.target 300)")
	if grown := runtime.NumGoroutine() - before; grown > 150 { // other tests have some
		t.Errorf("%d goroutines more after 300 jobs", grown)
	}
	cancel()
	_ = cmd.Wait()
}

// command is a way to run commands in a machine.
type command func(ctx context.Context, name string, args ...string) *nspawn.Cmd

// testCommandBy is what Command and CommandUnit have in common. Only the former
// tells the errno of execve.
func testCommandBy(t *testing.T, m *nspawn.Machine, errno bool, by command) {
	t.Run("status", func(t *testing.T) { testStatus(t, by) })
	t.Run("signal", func(t *testing.T) { testSignal(t, by) })
	t.Run("output", func(t *testing.T) { testOutput(t, m, by) })
	t.Run("arguments are not expanded", func(t *testing.T) { testArguments(t, by) })
	t.Run("refused", func(t *testing.T) { testRefused(t, m, errno, by) })
}

func testStatus(t *testing.T, by command) {
	ctx := testContext(t)
	for _, code := range []int{0, 1, 2, 127, 133, 203, 255} {
		err := by(ctx, "sh", "-c", "echo out; echo last words >&2; exit "+itoa(code)).Run()
		if code == 0 && err == nil {
			continue
		}
		var exit *nspawn.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != code {
			t.Errorf("exit %d: %v", code, err)
		}
	}
}

func testSignal(t *testing.T, by command) {
	ctx := testContext(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGPIPE, syscall.SIGKILL, syscall.SIGSEGV} {
		err := by(ctx, "sh", "-c", fmt.Sprintf("kill -%d $$", signal)).Run()
		var exit *nspawn.ExitError
		if !errors.As(err, &exit) || exit.Signal() != signal || exit.ExitCode() != -1 {
			t.Errorf("%v: %v", signal, err)
		}
	}
}

func testOutput(t *testing.T, m *nspawn.Machine, by command) {
	ctx := testContext(t)
	out, err := by(ctx, "sh", "-c", "echo out; echo the reason >&2; exit 4").Output()
	var exit *nspawn.ExitError
	if string(out) != "out\n" || !errors.As(err, &exit) || string(exit.Stderr) != "the reason\n" {
		t.Errorf("%q, %v", out, err)
	}
	for _, want := range []string{m.Name(), "the reason", "exit status 4"} {
		if err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in the error: %v", want, err)
		}
	}
	both, err := by(ctx, "sh", "-c", "echo 1; echo 2 >&2; echo 3").CombinedOutput()
	if err != nil || string(both) != "1\n2\n3\n" {
		t.Errorf("CombinedOutput: %q, %v", both, err)
	}
}

func testArguments(t *testing.T, by command) {
	args := []string{"$HOME", "$$", "%n", "a b", "", "\"'\\", "\n", "ü", strings.Repeat("x", 100_000)}
	out, err := by(testContext(t), "printf", append([]string{"%s\\0"}, args...)...).Output()
	if err != nil || string(out) != strings.Join(args, "\x00")+"\x00" {
		t.Errorf("%q, %v", out, err)
	}
}

func testRefused(t *testing.T, m *nspawn.Machine, errno bool, by command) {
	ctx := testContext(t)
	shell(t, m, "echo x >/tmp/plain; chmod 644 /tmp/plain; echo '#!/none' >/tmp/script; chmod 755 /tmp/script")
	for name, want := range map[string]error{
		"no-such-program": nspawn.ErrNotFound, "/no/such": unix.ENOENT, "/tmp/plain": unix.EACCES,
		"/tmp/script": unix.ENOENT, "/etc": unix.EACCES, "": nspawn.ErrNotFound,
	} {
		if err := by(ctx, name).Run(); errno && !errors.Is(err, want) || !errors.As(err, new(*nspawn.Error)) {
			t.Errorf("%q: %v, want %v", name, err, want)
		}
	}
	cmd := by(ctx, "true")
	cmd.Dir = "/no/such/directory"
	if err := cmd.Run(); errno && !errors.Is(err, unix.ENOENT) || !errors.As(err, new(*nspawn.Error)) {
		t.Errorf("missing directory: %v", err)
	}
	cmd = by(ctx, "true")
	cmd.User = "nobody-here"
	if err := cmd.Run(); !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("missing user: %v", err)
	}
}

// testCommandSurroundings: the environment is compared as a whole, and this
// program's own is another.
func testCommandSurroundings(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("around")})
	ctx := testContext(t)

	if got := shell(t, m, "env | sort | grep -v ^_="); got != strings.Join([]string{
		"HOME=/root", "LANG=C.UTF-8", "LOGNAME=root",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD=/root", "SHELL=/bin/sh", "USER=root",
	}, "\n") {
		t.Errorf("environment:\n%s", got)
	}
	if got := shell(t, m, "set -- $(cat /proc/$$/stat); test $1 = $6 && echo own"); got != "own" {
		t.Error("it is in the session of this program, whose terminal it could use")
	}
	if got := shell(t, m, "umask"); got != "0022" {
		t.Errorf("umask: %s", got)
	}
	if got := shell(t, m, "ls /proc/self/fd | wc -l"); got != "4" { // 0, 1, 2 and the directory
		t.Errorf("descriptors: %s", shell(t, m, "ls -l /proc/self/fd"))
	}
	for _, ns := range []string{"mnt", "pid", "uts", "ipc", "net"} {
		if got := shell(t, m, "a=$(readlink /proc/1/ns/"+ns+"); b=$(readlink /proc/self/ns/"+ns+"); test $a = $b && echo same"); got != "same" {
			t.Errorf("namespace %s is not the machine's", ns)
		}
	}
	// Its own control group, below the machine's, is the only one that it can see.
	if got := shell(t, m, "grep ^0: /proc/self/cgroup; mkdir /tmp/groups; mount -t cgroup2 groups /tmp/groups && cat /tmp/groups/cgroup.procs | wc -l"); got != "0::/\n3" {
		t.Errorf("control groups: %s", got)
	}
	if got := shell(t, m, "grep CapBnd /proc/1/status; grep CapEff /proc/self/status"); len(strings.Fields(got)) != 4 ||
		strings.Fields(got)[1] != strings.Fields(got)[3] {
		t.Errorf("capabilities: %s", got)
	}
	if err := m.Command(ctx, "mknod", "/tmp/kmsg", "c", "1", "11").Run(); err == nil {
		if err := m.Command(ctx, "sh", "-c", "modprobe x || test -w /sys/power/state").Run(); err == nil {
			t.Error("a command is stronger than the machine")
		}
	}
	shell(t, m, "useradd -m -u 1234 -s /bin/bash -G tty ann 2>/dev/null || echo 'ann:x:1234:1234::/home/ann:/bin/bash' >>/etc/passwd; mkdir -p /home/ann; chown 1234:1234 /home/ann")
	for _, user := range []string{"ann", "1234"} {
		cmd := m.Command(ctx, "sh", "-c", "id -u; id -G; echo $HOME $USER $SHELL; pwd; grep CapEff /proc/self/status")
		cmd.User = user
		out, err := cmd.Output()
		if err != nil || !strings.Contains(string(out), "1234\n1234 5\n/home/ann ann /bin/bash\n/home/ann\nCapEff:\t0000000000000000") {
			t.Errorf("as %s: %q, %v", user, out, err)
		}
	}
	cmd := m.Command(ctx, "pwd")
	cmd.Dir, cmd.Env = "/usr", []string{"PATH=/bin"}
	if out, err := cmd.Output(); err != nil || string(out) != "/usr\n" {
		t.Errorf("Dir: %q, %v", out, err)
	}
}

// testCancelKillsTree proves that nothing a command has started survives its
// context, however it tried to get away.
func testCancelKillsTree(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("tree")})
	ctx, cancel := context.WithCancelCause(testContext(t))
	cause := errors.New("changed my mind")
	cmd := m.Command(ctx, "sh", "-c", "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 98765' &) ; setsid -f sleep 98765; echo ready; sleep 98765")
	begin(t, cmd, "ready\n")
	cancel(cause)
	if err := cmd.Wait(); !errors.Is(err, cause) {
		t.Errorf("Wait: %v", err)
	}
	if left := processes(t, "98765"); len(left) > 0 {
		t.Errorf("processes survive their command's context: %q", left)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

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
