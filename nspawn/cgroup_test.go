package nspawn

import (
	"context"
	"errors"
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
