package nspawn_test

import (
	"slices"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// eventLog lets a test wait for events.
type eventLog chan nspawn.EventKind

func newEventLog() eventLog { return make(eventLog, 100) }

// tell is for HostOptions.Events.
func (l eventLog) tell(e nspawn.Event) { l <- e.Kind }

// await reads up to an event of a kind and returns what was read.
func (l eventLog) await(t *testing.T, kind nspawn.EventKind) (told []nspawn.EventKind) {
	t.Helper()
	ctx := testContext(t)
	for {
		select {
		case e := <-l:
			if told = append(told, e); e == kind {
				return told
			}
		case <-ctx.Done():
			t.Fatalf("no event %q, but %v", kind, told)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	events := newEventLog()
	host := openHost(t, nspawn.HostOptions{Events: events.tell})
	m := boot(t, host, nspawn.Config{Name: "eventful"})
	ctx := testContext(t)
	_ = m.Command(ctx, "systemctl", "reboot").Run() // may be killed by what it asks for
	told := events.await(t, nspawn.EventRebooted)
	told = append(told, events.await(t, nspawn.EventReady)...)
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	told = append(told, events.await(t, nspawn.EventExited)...)
	want := []nspawn.EventKind{
		nspawn.EventStarted, nspawn.EventReady, nspawn.EventRebooted, nspawn.EventStarted, nspawn.EventReady,
		nspawn.EventStopping, nspawn.EventExited,
	}
	if !slices.Equal(told, want) {
		t.Errorf("events: %v", told)
	}
}
