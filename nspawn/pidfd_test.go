package nspawn

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

// TestAwaitKnown waits for the first process of a machine that begins, of one that is
// not waited for any more, and of one that ends before.
func TestAwaitKnown(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "infinity")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := newBoot()
	var err error
	if b.nspawn, err = openPidfd(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	defer b.nspawn.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	impatient := errors.New("impatient")
	cancel(impatient)
	if err := b.awaitKnown(ctx); !errors.Is(err, impatient) {
		t.Errorf("after the context: %v", err)
	}
	close(b.known)
	if err := b.awaitKnown(t.Context()); err != nil {
		t.Errorf("a machine that has begun: %v", err)
	}
	b.known = make(chan struct{})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := b.awaitKnown(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("a machine that has ended: %v", err)
	}
	_ = cmd.Wait()
}
