package nspawntest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
)

func testUnits(t *testing.T, s *suite) {
	ctx := testContext(t)
	m := s.start(t, nspawn.Config{Name: s.name("units"), Root: s.root(t), SuppressSync: true})
	// Not ready yet: the calls wait for the bus.
	if err := m.Unit("dbus.socket").WaitActive(ctx); err != nil {
		t.Error(err)
	}
	if err := m.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	shell(t, m, `cd /etc/systemd/system
printf '[Service]\nExecStart=sleep infinity\nExecReload=touch /run/reloaded\n[Install]\nWantedBy=multi-user.target\n' >good.service
printf '[Service]\nType=oneshot\nExecStart=sh -c "echo the reason why; exit 3"\n' >bad.service
systemctl daemon-reload`)

	if state, err := m.SystemState(ctx); err != nil || state != "running" {
		t.Errorf("SystemState: %q, %v", state, err)
	}
	changeUnit(ctx, t, m, m.Unit("good"))
	failUnit(ctx, t, m, m.Unit("bad.service"))
	awaitUnit(ctx, t, m.Unit("good"))
	cleaner := m.Unit("systemd-tmpfiles-clean")
	for _, do := range []func(context.Context) error{cleaner.Mask, cleaner.Unmask} {
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	}
}

func changeUnit(ctx context.Context, t *testing.T, m *nspawn.Machine, good *nspawn.Unit) {
	t.Helper()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
		want string // as systemctl sees it afterwards
	}{
		{"Start", good.Start, "active disabled"},
		{"Enable", good.Enable, "active enabled"},
		{"Reload", good.Reload, "active enabled"},
		{"Restart", good.Restart, "active enabled"},
		{"Stop", good.Stop, "inactive enabled"},
		{"Disable", good.Disable, "inactive disabled"},
	} {
		if err := step.do(ctx); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := shell(t, m, "echo $(systemctl is-active good) $(systemctl is-enabled good)"); got != step.want {
			t.Errorf("after %s: %s, want %s", step.name, got, step.want)
		}
	}
	shell(t, m, "test -e /run/reloaded")
}

// failUnit starts a unit that fails, and one that there is not.
func failUnit(ctx context.Context, t *testing.T, m *nspawn.Machine, bad *nspawn.Unit) {
	t.Helper()
	if err := bad.Start(ctx); err == nil || !strings.Contains(err.Error(), "exit-code") {
		t.Errorf("Start of a unit that fails: %v", err)
	}
	if err := bad.Start(ctx); err == nil || !strings.Contains(err.Error(), "the reason why") {
		t.Errorf("the unit's own words are not in the error: %v", err)
	}
	if failed, err := m.FailedUnits(ctx); err != nil || len(failed) != 1 || failed[0].Name != "bad.service" {
		t.Errorf("FailedUnits: %v, %v", failed, err)
	}
	if err := bad.WaitActive(ctx); err == nil {
		t.Error("WaitActive of a failed unit succeeded")
	}
	if err := m.Unit("none").Start(ctx); !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("Start of a missing unit: %v", err)
	}
	if state, err := m.Unit("none").State(ctx); err != nil || state.Load != "not-found" {
		t.Errorf("State of a missing unit: %+v, %v", state, err)
	}
}

func awaitUnit(ctx context.Context, t *testing.T, good *nspawn.Unit) {
	t.Helper()
	waited := make(chan error, 1)
	go func() { waited <- good.WaitActive(ctx) }()
	if err := good.Start(ctx); err != nil {
		t.Error(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("WaitActive: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	err := good.Wait(short, func(s nspawn.UnitState) (bool, error) { return s.Active == "inactive", nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait beyond its context: %v", err)
	}
	if state, err := good.State(ctx); err != nil || state.MainPID == 0 || state.Sub != "running" {
		t.Errorf("State: %+v, %v", state, err)
	}
}

// testSlowStart wants the error of a start-up that hangs to say on what.
func testSlowStart(t *testing.T, s *suite) {
	root := s.root(t)
	writeFile(t, root, "etc/systemd/system/hangs.service", "[Service]\nType=oneshot\nExecStart=sleep 1000\n")
	writeFile(t, root, "etc/systemd/system/broken.service", "[Service]\nType=oneshot\nExecStart=false\n[Install]\nWantedBy=basic.target\n")
	symlink(t, "../broken.service", root, "etc/systemd/system/basic.target.wants/broken.service")
	symlink(t, "../hangs.service", root, "etc/systemd/system/multi-user.target.wants/hangs.service")
	m := s.start(t, nspawn.Config{Name: s.name("slow"), Root: root, SuppressSync: true})
	for unit, state := range map[string]string{"broken.service": "failed", "hangs.service": "activating"} {
		if err := m.Unit(unit).Wait(testContext(t), func(s nspawn.UnitState) (bool, error) { return s.Active == state, nil }); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
	defer cancel()
	err := m.WaitReady(ctx)
	for _, want := range []string{"hangs.service: start is not done", "broken.service has failed", "s hangs.service", "systemd: Started "} {
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("WaitReady: %v, want %q in it", err, want)
		}
	}
	var late *nspawn.Error
	if !errors.As(err, &late) || late.Startup == nil || len(late.Startup.Journal) == 0 || late.Startup.Err != nil ||
		!slices.ContainsFunc(late.Startup.Slowest, func(u nspawn.UnitTime) bool { return u.Unit == "hangs.service" }) {
		t.Errorf("WaitReady: %+v", late)
	}
}

// testWaits are the layers of readiness that no unit tells.
func testWaits(t *testing.T, s *suite) {
	ctx := testContext(t)
	m := s.boot(t, nspawn.Config{Name: s.name("waits")})
	listen := `use Socket; my ($kind, $port) = @ARGV; select undef, undef, undef, 0.05;
		socket S, PF_INET, $kind eq "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0; bind S, sockaddr_in($port, INADDR_ANY);
		listen S, 5 if $kind eq "tcp"; sleep 1000`
	for protocol, port := range map[string]uint16{"tcp": 80, "udp": 53} {
		serving, stop := context.WithCancel(ctx)
		cmd := m.Command(serving, "perl", "-e", listen, protocol, itoa(int(port)))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := m.WaitPort(ctx, protocol, port); err != nil {
			t.Error(err)
		}
		stop()
		_ = cmd.Wait()
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		if err := m.WaitPort(short, protocol, port); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), protocol+" port") {
			t.Errorf("nobody listens: %v", err)
		}
		cancel()
	}
	if err := m.WaitPort(ctx, "tcp", 0); !errors.Is(err, nspawn.ErrInvalid) {
		t.Errorf("port 0: %v", err)
	}
	looked := 0
	if err := m.WaitFor(ctx, "the third look", func(context.Context) (bool, error) { looked++; return looked == 3, nil }); err != nil || looked != 3 {
		t.Errorf("WaitFor: %d looks, %v", looked, err)
	}
	refused := errors.New("never")
	if err := m.WaitFor(ctx, "anything", func(context.Context) (bool, error) { return false, refused }); !errors.Is(err, refused) {
		t.Errorf("WaitFor: %v", err)
	}
	go m.Kill(ctx)
	if err := m.WaitPort(ctx, "tcp", 81); !errors.Is(err, nspawn.ErrNotRunning) {
		t.Errorf("in a machine that ends: %v", err)
	}
}
