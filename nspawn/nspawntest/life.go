package nspawntest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

func testLife(t *testing.T, s *suite) {
	ctx := testContext(t)
	m := s.boot(t, nspawn.Config{Name: s.name("life"), Hostname: "inside", KernelCommandLine: nspawn.MaskUnits("cron.service")})
	if got := shell(t, m, "hostname; systemctl is-system-running; systemctl is-enabled cron.service || true"); got != "inside\nrunning\nmasked-runtime" {
		t.Errorf("inside: %q", got)
	}
	leader := m.Leader()
	if err := unix.Kill(leader, 0); err != nil {
		t.Errorf("leader %d: %v", leader, err)
	}
	found, err := s.host.Find(ctx, s.name("life"))
	if err != nil || found != m {
		t.Errorf("Find: %v, %v", found, err)
	}
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	status, err := m.Wait(ctx)
	if err != nil || status.Code != 0 || status.Forced != "" {
		t.Errorf("Wait: %+v, %v", status, err)
	}
	if err := unix.Kill(leader, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the leader lives on: %v", err)
	}
	if _, err := s.host.Find(ctx, s.name("life")); !errors.Is(err, nspawn.ErrNotFound) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Find of an ended machine: %v", err)
	}
	if err := m.Stop(ctx); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	if err := m.Command(ctx, "true").Run(); !errors.Is(err, nspawn.ErrNotRunning) {
		t.Errorf("Command in an ended machine: %v", err)
	}
}

func testStubbornMachine(t *testing.T, s *suite) {
	m := s.start(t, nspawn.Config{
		Name: s.name("stubborn"), Root: s.root(t), Command: []string{"sh", "-c", "trap '' TERM HUP INT; echo up; while :; do sleep 1; done"},
		Stop: nspawn.StopTimeouts{Poweroff: 100 * time.Millisecond, Terminate: 5 * time.Second},
	})
	awaitConsole(t, m, "up")
	if err := m.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	status, err := m.Wait(testContext(t))
	if err != nil || status.Forced == "" {
		t.Errorf("Wait: %+v, %v", status, err)
	}
}

// testStopWithCommand stops a machine in which a command is in no hurry to end.
func testStopWithCommand(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("busy"), Stop: nspawn.StopTimeouts{Poweroff: 8 * time.Second}})
	cmd := m.Command(testContext(t), "sh", "-c", "trap 'sleep 0.1; exit' TERM; echo up; while :; do sleep 0.01; done")
	begin(t, cmd, "up\n")
	if err := m.Stop(testContext(t)); err != nil {
		t.Error(err)
	}
	if status, err := m.Wait(testContext(t)); err != nil || status.Forced != "" {
		t.Errorf("Wait: %+v, %v", status, err)
	}
	_ = cmd.Wait()
}

func testStopWithoutPatience(t *testing.T, s *suite) {
	m := s.start(t, nspawn.Config{Name: s.name("patience"), Root: s.root(t), Command: []string{"sh", "-c", "trap '' TERM HUP; echo up; while :; do sleep 1; done"}})
	awaitConsole(t, m, "up")
	ctx, cancel := context.WithTimeout(testContext(t), 50*time.Millisecond)
	defer cancel()
	if err := m.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop: %v", err)
	}
	if status, err := m.Wait(testContext(t)); err != nil || status.Forced != "kill" {
		t.Errorf("Wait: %+v, %v", status, err)
	}
}

func testCommandAsPayload(t *testing.T, s *suite) {
	m, err := s.host.Start(testContext(t), nspawn.Config{
		Name: s.name("payload"), Root: s.root(t), Command: []string{"sh", "-c", "echo said; exit 7"}, Environment: []string{"A=b c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	status, err := m.Wait(testContext(t))
	if err != nil || status.Code != 7 {
		t.Errorf("Wait: %+v, %v", status, err)
	}
	if console := strings.Join(m.Console(5), "\n"); console != "said" {
		t.Errorf("console: %q", console)
	}
}

// awaitConsole waits until a payload has said a word.
func awaitConsole(t *testing.T, m *nspawn.Machine, word string) {
	t.Helper()
	said := func(context.Context) (bool, error) {
		return strings.Contains(strings.Join(m.Console(5), "\n"), word), nil
	}
	if err := m.WaitFor(testContext(t), "the payload", said); err != nil {
		t.Fatal(err)
	}
}

// testCommandObeys wants a payload to hear of the end and to have time for it.
func testCommandObeys(t *testing.T, s *suite) {
	m := s.start(t, nspawn.Config{
		Name: s.name("obeys"), Root: s.root(t), Command: []string{"sh", "-c", "trap '' HUP; trap 'sleep 0.1; echo bye; exit' TERM; echo up; sleep 1000 & wait"},
	})
	ctx := testContext(t)
	awaitConsole(t, m, "up")
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	status, err := m.Wait(ctx)
	if console := strings.Join(m.Console(5), "\n"); err != nil || status.Forced != "" || console != "up\nbye" {
		t.Errorf("Wait: %+v, %v, console %q", status, err, console)
	}
}

func testFreeze(t *testing.T, s *suite) {
	ctx := testContext(t)
	m := s.boot(t, nspawn.Config{Name: s.name("frozen")})
	cmd := m.Command(ctx, "sh", "-c", "while :; do echo x; sleep 0.01; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Freeze(ctx); err != nil {
			t.Fatal(err)
		}
	}
	stat, err := os.ReadFile("/proc/" + itoa(cmd.Process.Pid) + "/cgroup")
	if err != nil || !strings.Contains(string(stat), "frozen") {
		t.Errorf("the command is not in the machine's control group: %s, %v", stat, err)
	}
	if err := m.Command(ctx, "true").Run(); !errors.Is(err, nspawn.ErrBusy) {
		t.Errorf("Command in a frozen machine: %v", err)
	}
	if err := m.Thaw(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 4096)); err != nil {
		t.Errorf("after Thaw: %v", err)
	}
	if err := m.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(ctx); err != nil { // of a frozen machine
		t.Errorf("Stop: %v", err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the command outlived its machine")
	}
}

func testFiles(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("files"), Tmpfs: []nspawn.Tmpfs{{Target: "/mnt"}}})
	shell(t, m, "ln -s /etc /mnt/up; ln -sf /proc/1/root/etc/hostname /mnt/out")
	if err := m.WriteFile("/mnt/up/greeting", []byte("hello\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, m, "cat /etc/greeting; stat -c %a:%u /etc/greeting"); got != "hello\n640:0" {
		t.Errorf("in the machine: %q", got)
	}
	if err := m.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if data, err := m.ReadFile("/etc/greeting"); err != nil || string(data) != "hello\n" {
		t.Errorf("after the end: %q, %v", data, err)
	}
	if _, err := m.ReadFile("/mnt/up/greeting"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the tmpfs outlived the machine: %v", err)
	}
}

func testReboot(t *testing.T, s *suite) {
	ctx := testContext(t)
	m := s.boot(t, nspawn.Config{Name: s.name("reboots")})
	before := shell(t, m, "cat /proc/sys/kernel/random/boot_id; touch /etc/kept; readlink /proc/1/ns/pid")
	leader := m.Leader()
	first, err := m.LeaderPidfd()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if err := m.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	if err := unix.PidfdSendSignal(int(first.Fd()), 0, nil, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the first leader after a reboot: %v", err)
	}
	if err := m.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	after := shell(t, m, "cat /proc/sys/kernel/random/boot_id; ls /etc/kept >/dev/null; readlink /proc/1/ns/pid")
	if m.Leader() == leader || before == after {
		t.Errorf("same machine after a reboot: %s", after)
	}
}

func testStartRefuses(t *testing.T, s *suite) {
	ctx := testContext(t)
	first := s.boot(t, nspawn.Config{Name: s.name("first")})
	empty, initless := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(initless, "usr"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config nspawn.Config
		want   error
		text   string
	}{
		"same name":    {nspawn.Config{Name: s.name("first"), Root: s.root(t)}, nspawn.ErrExists, "first"},
		"same root":    {nspawn.Config{Name: s.name("second"), Root: first.Root()}, nspawn.ErrBusy, "first"},
		"no directory": {nspawn.Config{Name: s.name("second"), Root: filepath.Join(empty, "none")}, nspawn.ErrInvalid, "no directory"},
		"no init":      {nspawn.Config{Name: s.name("second"), Root: initless}, nspawn.ErrInvalid, "no init"},
		"empty root":   {nspawn.Config{Name: s.name("second"), Root: empty}, nspawn.ErrInvalid, "no /usr"},
		"no bridge":    {nspawn.Config{Name: s.name("second"), Root: s.root(t), Network: nspawn.Network{Bridge: "none0"}}, nspawn.ErrInvalid, "none0"},
		"no source":    {nspawn.Config{Name: s.name("second"), Root: s.root(t), Binds: []nspawn.Bind{{Source: empty + "/none"}}}, nspawn.ErrInvalid, "none"},
	} {
		m, err := s.host.Start(ctx, c.config)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if m != nil {
			m.Kill(ctx)
		}
	}
	if _, err := s.host.Find(ctx, s.name("second")); !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("something is left of a refused machine: %v", err)
	}
}
