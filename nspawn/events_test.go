package nspawn_test

import (
	"slices"
	"testing"
	"time"

	"github.com/prologin/rig/nspawn"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	var kinds []nspawn.EventKind
	exited := make(chan struct{})
	host := openHost(t, nspawn.HostOptions{Events: func(e nspawn.Event) {
		kinds = append(kinds, e.Kind)
		if e.Kind == nspawn.EventExited {
			close(exited)
		}
	}})
	m := boot(t, host, nspawn.Config{Name: "eventful"})
	ctx := testContext(t)
	leader := m.Leader()
	_ = m.Command(ctx, "systemctl", "reboot").Run()
	for (m.Leader() == leader || m.Leader() == 0) && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	if err := m.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	<-exited
	want := []nspawn.EventKind{
		nspawn.EventStarted, nspawn.EventReady, nspawn.EventRebooted, nspawn.EventStarted, nspawn.EventReady,
		nspawn.EventStopping, nspawn.EventExited,
	}
	if !slices.Equal(kinds, want) {
		t.Errorf("events: %v", kinds)
	}
}
