package nspawntest

import (
	"context"
	"errors"
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
printf '[Service]\nType=oneshot\nExecStart=sh -c "exit 3"\n' >bad.service
systemctl daemon-reload`)

	if state, err := m.SystemState(ctx); err != nil || state != "running" {
		t.Errorf("SystemState: %q, %v", state, err)
	}
	good, bad := m.Unit("good"), m.Unit("bad.service")
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
	if err := bad.Start(ctx); err == nil || !strings.Contains(err.Error(), "exit-code") {
		t.Errorf("Start of a unit that fails: %v", err)
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
	cleaner := m.Unit("systemd-tmpfiles-clean")
	for _, do := range []func(context.Context) error{cleaner.Mask, cleaner.Unmask} {
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	}
}

// testSlowStart wants the error of a start-up that hangs to say on what.
func testSlowStart(t *testing.T, s *suite) {
	root := s.root(t)
	writeFile(t, root, "etc/systemd/system/hangs.service", "[Service]\nType=oneshot\nExecStart=sleep 1000\n")
	symlink(t, "../hangs.service", root, "etc/systemd/system/multi-user.target.wants/hangs.service")
	m := s.start(t, nspawn.Config{Name: s.name("slow"), Root: root, SuppressSync: true})
	if err := m.Unit("basic.target").WaitActive(testContext(t)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(testContext(t), 300*time.Millisecond)
	defer cancel()
	err := m.WaitReady(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "hangs.service: start is not done") {
		t.Errorf("WaitReady: %v", err)
	}
}
