package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestBackoff: what stays busy for long is asked for ten times a second, for as long
// as the context lasts.
func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		tries := 0
		err := backoff(ctx, func() error {
			if tries++; tries > 1000 {
				return errors.New("busy waiting")
			}
			return unix.EBUSY
		})
		if !errors.Is(err, unix.EBUSY) || !errors.Is(err, context.DeadlineExceeded) || tries < 300 || tries > 310 {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}

// TestGoingCgroup ends and awaits a control group that comes and goes meanwhile.
func TestGoingCgroup(t *testing.T) {
	t.Parallel()
	mount, err := unifiedMount()
	if err != nil || os.Geteuid() != 0 {
		t.Skip("makes a control group: ", err)
	}
	g := cgroup(mount).child(fmt.Sprintf("rig-going-%d", os.Getpid()))
	stop := make(chan struct{})
	var comes sync.WaitGroup
	comes.Go(func() {
		for !isClosed(stop) {
			if err := errors.Join(unix.Mkdir(string(g), 0o755), unix.Rmdir(string(g))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer comes.Wait()
	defer close(stop)
	for range 3000 {
		if err := errors.Join(g.kill(), g.await(t.Context(), "populated", false)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThawAtTheEnd thaws a machine whose control group is gone already, as Stop does with
// one that ends by itself.
func TestThawAtTheEnd(t *testing.T) {
	t.Parallel()
	m := &Machine{dir: t.TempDir(), boot: &boot{leader: new(leader)}, record: record{Cgroup: cgroup(t.TempDir()).child("gone")}}
	if err := m.Thaw(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("Thaw: %v", err)
	}
}
