package nspawn

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestClaimImage claims a tree again and again from several goroutines, as the ends of
// machines on copies of one root do. Who has the lock has the one that others see.
func TestClaimImage(t *testing.T) {
	t.Parallel()
	tree := filepath.Join(t.TempDir(), "root")
	end := time.Now().Add(200 * time.Millisecond)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for time.Now().Before(end) {
				file, err := os.OpenFile(imageLock(tree), os.O_CREATE, 0o600) // what an nspawn leaves
				if err = errors.Join(err, file.Close()); err != nil {
					t.Error(err)
					return
				}
				lock, err := claimImage(tree)
				if errors.Is(err, ErrBusy) || lock == nil && err == nil {
					continue
				}
				if err != nil || !sameFile(lock, imageLock(tree)) {
					t.Errorf("the lock of a file that is gone: %v", err)
					return
				}
				if err := releaseImage(lock); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
