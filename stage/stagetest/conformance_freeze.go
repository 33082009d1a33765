package stagetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

func freezes(ctx context.Context, t *testing.T, m stage.Machine) {
	f, ok := m.(stage.Freezer)
	if !ok {
		t.Skip("the machine is no Freezer")
	}
	// A command that goes on all the time must write nothing while frozen.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	count := new(counter)
	done := make(chan bool)
	go func() {
		defer close(done)
		// The end of ctx kills it, which is no failure here.
		_ = m.Exec(ctx, stage.Command{Args: []string{"sh", "-c", "while :; do echo x; sleep 0.01; done"}, Stdout: count})
	}()
	moves := func() bool {
		before := count.value()
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
			if count.value() > before {
				return true
			}
			<-time.After(5 * time.Millisecond)
		}
		return false
	}
	if !moves() {
		t.Fatal("the command does not run")
	}
	for range 2 {
		if err := f.Freeze(ctx); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(50 * time.Millisecond) // what is in the pipe still comes
	if moves() {
		t.Error("a command goes on in a frozen machine")
	}
	for range 2 {
		if err := f.Thaw(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if !moves() {
		t.Error("it does not go on after the thaw")
	}
	cancel()
	<-done
}

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(p)
	return len(p), nil
}

func (c *counter) value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
