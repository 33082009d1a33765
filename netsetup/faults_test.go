package netsetup

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestLockHeldByAnother has another program hold iptables' lock. Only the legacy
// backend has one.
func TestLockHeldByAnother(t *testing.T) {
	l := newLab(t)
	legacyPath(t)
	lock, err := os.CreateTemp(t.TempDir(), "xtables.lock")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XTABLES_LOCKFILE", lock.Name())
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	h.do(t.Context(), "test", "", func() error {
		h.kernel.patience = 1
		return nil
	})
	if err := h.Apply(t.Context(), l.network); !errors.Is(err, ErrBusy) {
		t.Errorf("Apply: %v, want ErrBusy", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	before.compare(t, l.host.picture(t))
	checkEmpty(t, l.state)
	// Given back while we wait.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(300*time.Millisecond, func() { unix.Flock(int(lock.Fd()), unix.LOCK_UN) })
	h.do(t.Context(), "test", "", func() error {
		h.kernel.patience, h.kernel.tables = lockSeconds, nil
		return nil
	})
	l.apply(t, h)
	checkVerified(t, h, l.network)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Error(err)
	}
	lock.Close()
}

// TestDumpInterrupted feeds what cannot be caused at will: the kernel's tables
// changing under a dump, or more than the socket holds.
func TestDumpInterrupted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		failures int
		with     error
		want     error
	}{
		"once":          {1, netlink.ErrDumpInterrupted, nil},
		"often":         {9, netlink.ErrDumpInterrupted, nil},
		"without end":   {1000, netlink.ErrDumpInterrupted, netlink.ErrDumpInterrupted},
		"overrun":       {3, unix.ENOBUFS, nil},
		"always":        {1000, unix.ENOBUFS, unix.ENOBUFS},
		"another error": {1, unix.EPERM, unix.EPERM},
	} {
		calls := 0
		list, err := retryDump(func() ([]int, error) {
			if calls++; calls <= test.failures {
				return []int{1}, test.with // partial
			}
			return []int{1, 2}, nil
		})
		if !errors.Is(err, test.want) || test.want == nil && len(list) != 2 {
			t.Errorf("%s: %v, %v after %d calls", name, list, err, calls)
		}
	}
}

// TestDumpsUnderChange looks, again and again, while links come and go.
func TestDumpsUnderChange(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	h := l.host.open(t, l.state)
	l.apply(t, h)
	stop := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- l.host.thread.do(t.Context(), func() error {
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				attrs := netlink.NewLinkAttrs()
				attrs.Name = "churn"
				link := &netlink.Veth{LinkAttrs: attrs, PeerName: "churn2"}
				if err := errors.Join(netlink.LinkAdd(link), netlink.LinkDel(link)); err != nil {
					return err
				}
			}
		})
	}()
	for range 30 {
		if err := h.Verify(t.Context(), l.network); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
