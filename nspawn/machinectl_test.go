package nspawn_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// TestMachinectl wants systemd's own programs to know a machine of ours.
func TestMachinectl(t *testing.T) {
	testhost.Require(t)
	t.Parallel()
	root := newRoot(t)
	if err := os.MkdirAll(filepath.Join(root, "var/log/journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	state := nspawntest.StateDir(t)
	events := newEventLog()
	host := openHost(t, nspawn.HostOptions{StateDir: state, Events: events.tell})
	m := boot(t, host, nspawn.Config{Name: "known", Root: root, LinkJournal: "try-guest"})
	for _, c := range []struct{ command, want string }{
		{"machinectl list --no-legend", "known"},
		{"machinectl show known -p Unit --value", "rig-known.service"},
		{"machinectl -q shell known /bin/echo from the machine", "from the machine"},
		{"systemctl -M known is-system-running", "running"},
		{"systemctl is-active rig-known.service", "active"},
		{"systemctl status rig-known.service", "Machine known"},
		{"journalctl -M known -q -o cat -u systemd-journald.service", "Journal"},
		{"systemd-run -q -M known --pipe --wait echo piped", "piped"},
		{"timeout 20 script -qec 'machinectl login known' /dev/null </dev/zero | grep -am1 login:", "known login:"},
	} {
		out, err := exec.Command("sh", "-c", c.command).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, %s", c.command, err, out)
		}
	}

	// A reboot that no program of ours watches is systemd's affair.
	ctx := testContext(t)
	leader := m.Leader()
	watcher, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	if out, err := exec.Command("machinectl", "reboot", "known").CombinedOutput(); err != nil {
		t.Errorf("machinectl reboot: %v: %s", err, out)
	}
	events.await(t, nspawn.EventRebooted)
	events.await(t, nspawn.EventStarted)
	if m.Leader() == leader {
		t.Error("the same leader after a reboot")
	}
	if err := m.WaitReady(ctx); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("machinectl", "poweroff", "known").CombinedOutput(); err != nil {
		t.Errorf("machinectl poweroff: %v: %s", err, out)
	}
	if status, err := m.Wait(ctx); err != nil || status.Code != 0 {
		t.Errorf("Wait: %+v, %v", status, err)
	}
	if _, err := watcher.Find(ctx, "known"); !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("Find after machinectl poweroff: %v", err)
	}
}
