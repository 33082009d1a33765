package netsetup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockPause is how long to wait before asking for a lock again. flock(2) can
// wait by itself, but not for a context as well.
const lockPause = 20 * time.Millisecond

// lockFile opens path, making it and its directory if need be, and locks it alone.
// Whoever holds the lock may delete the file; then those who waited find that
// theirs is no longer the one of that name, and begin again.
func lockFile(ctx context.Context, path string) (*os.File, error) {
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for {
		f, err := tryLockFile(path)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return f, err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s is locked: %w", ErrBusy, path, ctx.Err())
		}
	}
}

func tryLockFile(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, unix.EWOULDBLOCK // the directory was deleted just now
	}
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	mine, err := f.Stat()
	if err == nil {
		named, nameErr := os.Stat(path)
		if nameErr == nil && os.SameFile(mine, named) {
			return f, nil
		}
		if err = nameErr; err == nil || errors.Is(err, fs.ErrNotExist) {
			err = unix.EWOULDBLOCK
		}
	}
	f.Close()
	return nil, err
}

// flock locks without waiting.
func flock(f *os.File, how int) error {
	return unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
}

// unlock gives a lock back. Closing the file alone would not do it while a child
// between fork and exec, such as iptables, has the file as well.
func unlock(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

// claim turns the lock on a journal that others may share into one that only
// we hold, or says who the others are.
func (j *journal) claim() error {
	err := flock(j.file, unix.LOCK_EX)
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return err
	}
	pids := holders(j.file)
	// A failed conversion loses the lock that was held.
	return errors.Join(&BusyError{PIDs: pids}, flock(j.file, unix.LOCK_SH))
}

// holders returns the processes that lock f, other than our own.
func holders(f *os.File) []int {
	mine, err := f.Stat()
	if err != nil {
		return nil
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return nil
	}
	defer locks.Close()
	inode := mine.Sys().(*syscall.Stat_t).Ino
	return slices.DeleteFunc(lockHolders(locks, inode), func(pid int) bool {
		return pid == os.Getpid() || !hasOpen(pid, mine)
	})
}

// lockHolders reads /proc/locks (see proc_locks(5)) for the processes that hold
// an flock on a file of an inode number. The device that stands before it is
// another than stat(2) says on btrfs.
func lockHolders(locks io.Reader, inode uint64) []int {
	suffix := fmt.Sprintf(":%d", inode)
	var pids []int
	for s := bufio.NewScanner(locks); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 6 || f[1] != "FLOCK" || !strings.HasSuffix(f[5], suffix) {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// hasOpen reports whether a process has a file open.
func hasOpen(pid int, file fs.FileInfo) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(fds, func(fd fs.DirEntry) bool {
		open, err := os.Stat(filepath.Join(dir, fd.Name()))
		return err == nil && os.SameFile(open, file)
	})
}
