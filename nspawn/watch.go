package nspawn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watch tells when something appears in one of some directories, inotify(7).
type watch struct{ file *os.File } // nil where the machines have used up what there is

func newWatch() (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	switch {
	case errors.Is(err, unix.EMFILE):
		return &watch{}, nil // fs.inotify.max_user_instances, which all of root's programs share
	case err != nil:
		return nil, fmt.Errorf("inotify: %w", err)
	}
	return &watch{os.NewFile(uintptr(fd), "inotify")}, nil
}

// add begins to look at a directory; that it is missing is fine, and adding it
// again too. The name is resolved by the calling thread.
func (w *watch) add(dir string) error {
	if w.file == nil {
		return nil
	}
	conn, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		_, failed = unix.InotifyAddWatch(int(fd), dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_ONLYDIR)
	})
	if errors.Is(failed, unix.ENOENT) {
		failed = nil
	}
	return errors.Join(err, failed)
}

// await blocks until something may have appeared since the last time, or the
// context has ended.
func (w *watch) await(ctx context.Context) error {
	if w.file == nil {
		select {
		case <-time.After(10 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := w.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := w.file.Read(make([]byte, 16<<10))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

func (w *watch) Close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}
