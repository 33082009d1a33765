package nspawn_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// TestTwoPrograms looks at one machine from a second host while the first
// supervises it: through its start-up, a reboot and its end, after which the name
// is free at once.
func TestTwoPrograms(t *testing.T) {
	t.Parallel()
	state := nspawntest.StateDir(t)
	first := openHost(t, nspawn.HostOptions{StateDir: state})
	ctx := testContext(t)
	root := newRoot(t)
	m := start(t, first, nspawn.Config{Name: "shared", Root: root, SuppressSync: true})
	events := newEventLog()
	second, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: state, Events: events.tell})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	guest, err := second.Find(ctx, "shared")
	if err != nil {
		t.Fatal(err)
	}
	if err := guest.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if guest.Leader() != m.Leader() || shell(t, guest, "echo hi") != "hi" {
		t.Error("not the same machine")
	}
	if swept, err := second.Sweep(ctx); err != nil || len(swept) != 0 {
		t.Errorf("Sweep: %v, %v", swept, err)
	}
	if err := guest.Reboot(ctx); err != nil {
		t.Errorf("Reboot by the second: %v", err)
	}
	if err := guest.WaitReady(ctx); err != nil || guest.Leader() == 0 || guest.Leader() != m.Leader() {
		t.Errorf("after the reboot, seen by the second: %d, %v; by the first: %d", guest.Leader(), err, m.Leader())
	}
	events.await(t, nspawn.EventRebooted)
	if err := guest.Stop(ctx); err != nil {
		t.Errorf("Stop by the second: %v", err)
	}
	again, err := second.Start(ctx, nspawn.Config{Name: "shared", Root: root, SuppressSync: true})
	if err != nil {
		t.Fatalf("Start at once: %v", err)
	}
	if err := again.Kill(ctx); err != nil {
		t.Error(err)
	}
	if _, err := m.Wait(ctx); err != nil {
		t.Errorf("Wait by the first: %v", err)
	}
}

// TestFoundAtOnce has many goroutines look for a machine of another program: they get
// the same one.
func TestFoundAtOnce(t *testing.T) {
	t.Parallel()
	state := nspawntest.StateDir(t)
	first := openHost(t, nspawn.HostOptions{StateDir: state})
	start(t, first, nspawn.Config{Name: "wanted", Root: newRoot(t), Command: []string{"sleep", "infinity"}})
	for range 10 {
		findAtOnce(t, state, "wanted")
	}
}

func findAtOnce(t *testing.T, state, name string) {
	t.Helper()
	host, err := nspawn.Open(testContext(t), nspawn.HostOptions{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	found := make([]*nspawn.Machine, 8)
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() {
			var err error
			if found[i], err = host.Find(testContext(t), name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if found = slices.Compact(found); len(found) != 1 {
		t.Errorf("%d machines for one", len(found))
	}
}

// TestSupervisorDies has the program that looks at a machine take the place of the
// one that supervised it.
func TestSupervisorDies(t *testing.T) {
	t.Parallel()
	state := nspawntest.StateDir(t)
	ctx := testContext(t)
	root := newRoot(t)
	first, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Start(ctx, nspawn.Config{Name: "heir", Root: root, SuppressSync: true}); err != nil {
		t.Fatal(err)
	}
	second := openHost(t, nspawn.HostOptions{StateDir: state})
	guest, err := second.Find(ctx, "heir")
	if err == nil {
		err = guest.WaitReady(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := guest.Stop(ctx); err != nil {
		t.Error(err)
	}
	again, err := second.Start(ctx, nspawn.Config{Name: "heir", Root: root, Command: []string{"true"}})
	if err != nil {
		t.Fatalf("the name is taken: %v", err)
	}
	if _, err := again.Wait(ctx); err != nil {
		t.Error(err)
	}
}
