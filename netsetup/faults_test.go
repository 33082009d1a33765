package netsetup

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
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

// saboteur does damage at one of the records of a log, which are in the middle of
// changes.
type saboteur struct {
	slog.Handler
	left   int
	damage func()
}

func (s *saboteur) Enabled(context.Context, slog.Level) bool { return true }

func (s *saboteur) Handle(context.Context, slog.Record) error {
	if s.left--; s.left == 0 {
		s.damage()
	}
	return nil
}

// TestDamagedInTheMiddle takes something away behind our back at every step of an
// Apply, which then succeeds or says so and undoes itself; in any case Remove leaves
// the host as it was.
func TestDamagedInTheMiddle(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("applies some forty times")
	}
	for _, damage := range []string{
		"ip link delete vz-prolo",
		"ip link delete gw.bridge",
		"iptables -F RIG-vz-prolo-FWD",
		"iptables -t nat -F PREROUTING; iptables -t nat -F OUTPUT; iptables -t nat -F RIG-vz-prolo-DNAT; iptables -t nat -X RIG-vz-prolo-DNAT",
	} {
		t.Run(damage, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.network.Pairs = []Pair{{Machine: "gw"}}
			l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort(machineAddr + ":80")}}
			before := l.host.picture(t)
			for step := 1; ; step++ {
				// The log speaks on the thread of the namespace.
				s := &saboteur{slog.DiscardHandler, step, func() { exec.Command("sh", "-c", damage).Run() }}
				h, err := Open(Options{Netns: l.host.path(), StateDir: l.state, Logger: slog.New(s)})
				if err != nil {
					t.Fatal(err)
				}
				err = h.Apply(t.Context(), l.network)
				over := s.left > 0
				s.left = 0
				if err != nil {
					before.compare(t, l.host.picture(t))
				} else if err := h.Apply(t.Context(), l.network); err != nil {
					t.Errorf("step %d: mending: %v", step, err)
				} else {
					checkVerified(t, h, l.network)
				}
				if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
					t.Errorf("step %d: Remove: %v", step, err)
				}
				h.Close()
				before.compare(t, l.host.picture(t))
				if over || t.Failed() {
					break
				}
			}
			checkEmpty(t, l.state)
		})
	}
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
