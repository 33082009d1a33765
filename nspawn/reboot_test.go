package nspawn_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// TestKillBetweenLives kills a machine when one life of it is over and the next has not
// begun, so that there is nothing to kill: it does not come back.
func TestKillBetweenLives(t *testing.T) {
	t.Parallel()
	host := openHost(t, nspawn.HostOptions{Launcher: nspawn.LauncherDirect})
	m := boot(t, host, nspawn.Config{})
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	host.BetweenLives(func() {
		if err := m.Kill(impatient); !errors.Is(err, context.Canceled) {
			t.Errorf("Kill: %v", err)
		}
	})
	ctx := testContext(t)
	_ = m.Command(ctx, "systemctl", "reboot").Run() // may be killed by what it asks for
	if status, err := m.Wait(ctx); err != nil || status.Forced != "kill" {
		t.Errorf("its end: %+v, %v", status, err)
	}
}
