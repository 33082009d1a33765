package archboot

import (
	"os/exec"
	"testing"
)

// TestUnlockWhileForking takes and gives up the lock on a root while other
// goroutines start programs, which inherit every descriptor for a moment.
func TestUnlockWhileForking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop := make(chan struct{})
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		}()
	}
	defer close(stop)
	for i := range 2000 {
		c, err := lockRoot(dir)
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if err := unlock(c.dir); err != nil {
			t.Fatal(err)
		}
	}
}
