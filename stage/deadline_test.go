package stage

import (
	"errors"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestZeroDeadline: a deadline that was taken back does not end the connection, and one
// that was not does.
func TestZeroDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		fromMachine, stdout := io.Pipe()
		c := &insideConn{r: fromMachine, addr: insideAddr{"tcp", "host:80"}, cancel: func() { ended = true }}
		for range 2 {
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // of the bubble's clock
		go io.WriteString(stdout, "x")
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil || ended {
			t.Errorf("a deadline that was taken back: %v", err)
		}
		c.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := c.Read(make([]byte, 1))
		synctest.Wait() // for the rest of what the timer does
		if !errors.Is(err, os.ErrDeadlineExceeded) || !ended {
			t.Errorf("a deadline that stands: %v", err)
		}
	})
}
