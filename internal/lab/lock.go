package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPause is how often a taken lock is tried again: flock(2) cannot wait for a
// context as well.
const lockPause = 200 * time.Millisecond

// lock keeps other programs out of the lab until this one ends, however it ends.
// It waits while another has the lab, and says for whom.
func (l *Lab) lock(ctx context.Context) error {
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for waiting := false; ; waiting = true {
		file, err := l.tryLock()
		if err == nil {
			l.onClose(func(context.Context) error { return l.unlock(file) })
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		if !waiting {
			holder := "another program"
			if data, err := os.ReadFile(l.lockFile()); err == nil && len(data) > 0 { // not yet, right after it took the lock
				holder = string(data)
			}
			l.say("waiting for %s, which works on the lab in %s", holder, l.State)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pause.C:
		}
	}
}

// tryLock fails with EWOULDBLOCK while another program has the lab, and also when
// that has just deleted the file, with the lab, under our hands.
func (l *Lab) tryLock() (*os.File, error) {
	if err := os.MkdirAll(l.State, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(l.lockFile(), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		mine, _ := file.Stat()
		if named, _ := os.Stat(file.Name()); !os.SameFile(mine, named) {
			err = unix.EWOULDBLOCK
		}
	}
	if err == nil {
		err = os.WriteFile(file.Name(), fmt.Appendf(nil, "process %d (%s)", os.Getpid(), strings.Join(os.Args, " ")), 0o644)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return file, nil
}

// unlock lets others have the lab, and removes the directory if no lab is in it.
// Closing alone would not do: a child between fork and exec has the file, too.
func (l *Lab) unlock(file *os.File) error {
	var err error
	if entries, readErr := os.ReadDir(l.State); readErr == nil && len(entries) == 1 {
		err = os.Remove(l.lockFile())
		// A file system that somebody has mounted there is his.
		if removeErr := os.Remove(l.State); !errors.Is(removeErr, unix.EBUSY) {
			err = errors.Join(err, removeErr)
		}
	}
	return errors.Join(err, unix.Flock(int(file.Fd()), unix.LOCK_UN), file.Close())
}

func (o *Options) lockFile() string { return filepath.Join(o.State, "lock") }
