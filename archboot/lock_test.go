package archboot

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestLockFile waits for a lock that another holds, and gives up when the context ends. The
// clock is the test's own.
func TestLockFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lock")
	synctest.Test(t, func(t *testing.T) {
		held, err := lockFile(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		tired := errors.New("tired")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, tired)
		defer cancel()
		if _, err := lockFile(ctx, name); !errors.Is(err, tired) {
			t.Errorf("while another holds it: %v, want %v", err, tired)
		}
		time.AfterFunc(time.Hour, func() { unlock(held) })
		began := time.Now()
		again, err := lockFile(t.Context(), name)
		if took := time.Since(began); err != nil || took < time.Hour || took > time.Hour+time.Second {
			t.Fatalf("after %v: %v", took, err)
		}
		if err := unlock(again); err != nil {
			t.Error(err)
		}
	})
}
