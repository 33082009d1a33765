package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A lock excludes every other operation that changes the store: those of this
// Store by a channel, those of other Stores and programs by flock(2), which the
// kernel drops when its holder dies.
type lock struct {
	turn chan struct{}
	file *os.File
}

// A holder is what the lock's file says about who has it.
type holder struct {
	PID     int
	Program string
	Op      string
	Since   time.Time
}

func (h holder) String() string {
	return fmt.Sprintf("by %s (PID %d), which began to %s at %s",
		h.Program, h.PID, h.Op, h.Since.Format(time.DateTime))
}

func openLock(path string) (*lock, error) {
	// Open for reading only, it does not keep the file system from being remounted.
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &lock{turn: make(chan struct{}, 1), file: f}, nil
}

func (l *lock) close() error { return l.file.Close() }

// acquire waits for the lock until ctx is done, and then says who has it. If nobody has, it
// is ctx alone that is in the way.
func (l *lock) acquire(ctx context.Context, op string) error {
	select {
	case l.turn <- struct{}{}:
	default:
		select {
		case l.turn <- struct{}{}:
		case <-ctx.Done():
			return l.heldBy(ctx)
		}
	}
	if err := l.flock(ctx); err != nil {
		<-l.turn
		return err
	}
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), l.release())
	}
	l.note(holder{os.Getpid(), filepath.Base(os.Args[0]), op, time.Now()})
	return nil
}

func (l *lock) flock(ctx context.Context) error {
	err := retry(ctx, func() error {
		err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EWOULDBLOCK), errors.Is(err, unix.EINTR):
			return errTaken
		case err != nil:
			return &os.PathError{Op: "flock", Path: l.file.Name(), Err: err}
		}
		return nil
	})
	if errors.Is(err, errTaken) {
		return l.heldBy(ctx)
	}
	return err
}

// errTaken is what a lock says that another has.
var errTaken = fmt.Errorf("%w by another", ErrBusy)

// retry tries to get a lock until ctx is done, more and more slowly: a blocked lock
// cannot be given up when ctx is done, and nothing announces that it is free.
func retry(ctx context.Context, try func() error) error {
	const longest = 50 * time.Millisecond
	for wait := time.Millisecond; ; wait = min(2*wait, longest) {
		err := try()
		if !errors.Is(err, errTaken) {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

func (l *lock) release() error {
	err := unix.Flock(int(l.file.Fd()), unix.LOCK_UN)
	<-l.turn
	return err
}

// note records the holder. It helps people only, so that a failure is no failure.
func (l *lock) note(h holder) {
	text, err := json.Marshal(h)
	if err != nil {
		return
	}
	_ = os.WriteFile(l.file.Name(), append(text, '\n'), 0o600)
}

func (l *lock) heldBy(ctx context.Context) error {
	cause := context.Cause(ctx)
	buf := make([]byte, 4096)
	n, _ := l.file.ReadAt(buf, 0)
	var h holder
	if err := json.Unmarshal(buf[:n], &h); err != nil {
		return fmt.Errorf("%w: %w", ErrLocked, cause)
	}
	return fmt.Errorf("%w %v: %w", ErrLocked, h, cause)
}
