package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// holder is who has the lock, for whoever has to wait.
type holder struct {
	PID     int
	Host    string
	Command string
	Since   time.Time
}

func (h holder) String() string {
	if h.PID == 0 { // it has only just taken it
		return "another program"
	}
	return fmt.Sprintf("process %d on %s (%s) since %s", h.PID, h.Host, h.Command, h.Since.Format(time.DateTime))
}

// lock takes the lab for this program. The kernel gives it back when the program
// ends, however it ends. If the lab is in use it fails with [ErrBusy], or waits if
// waiting is not nil, which is called once with the holder.
func (d stateDir) lock(ctx context.Context, waiting func(holder)) (unlock func(), err error) {
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := flock(ctx, f, waiting); err != nil {
		f.Close()
		return nil, err
	}
	unlock = func() {
		f.Truncate(0)
		// A child between fork and exec has the file as well: closing is not enough.
		syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		f.Close()
	}
	if err := writeHolder(f); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

func writeHolder(f *os.File) error {
	host, _ := os.Hostname()
	me, err := json.Marshal(holder{os.Getpid(), host, strings.Join(os.Args, " "), time.Now().Round(time.Second)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(me, 0)
	return err
}

func flock(ctx context.Context, f *os.File, waiting func(holder)) error {
	// flock(2) has no deadline, hence the timer.
	for delay := 10 * time.Millisecond; ; delay = min(2*delay, time.Second) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		who := readHolder(f)
		if waiting == nil {
			return fmt.Errorf("%w by %v", ErrBusy, who)
		}
		if delay == 10*time.Millisecond {
			waiting(who)
		}
		if err := sleep(ctx, delay); err != nil {
			return fmt.Errorf("%w by %v: %w", ErrBusy, who, err)
		}
	}
}

func readHolder(f *os.File) holder {
	var h holder
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<16))
	if err == nil {
		// It is empty for a moment after the lock was taken.
		_ = json.Unmarshal(data, &h)
	}
	return h
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
