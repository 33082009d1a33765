package snapshot

import (
	"os"
	"sync/atomic"
	"testing"
)

// TestViewWhileSwept: whoever looks at a snapshot does not lose it to those who sweep.
func TestViewWhileSwept(t *testing.T) {
	t.Parallel()
	s := openStore(t, newTmpfs(t), Options{Driver: Overlay()})
	v := newVolume(t, s, "gw")
	write(t, v.Path()+"/f", "text")
	take(t, v, "a", Metadata{})
	var done atomic.Bool
	swept := make(chan error)
	go func() {
		var err error
		for err == nil && !done.Load() {
			err = layersOf(v.Path()).sweepViews(t.Context())
		}
		swept <- err
	}()
	for range 300 {
		dir, release, err := s.driver.View(t.Context(), v.frozen("a"))
		if err != nil {
			t.Error(err)
			break
		}
		if text, err := os.ReadFile(dir + "/f"); string(text) != "text" {
			t.Errorf("read %q, %v", text, err)
		}
		if err := release(); err != nil {
			t.Error(err)
			break
		}
	}
	done.Store(true)
	if err := <-swept; err != nil {
		t.Error(err)
	}
}
