package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

// The locks of a pool are open file description locks on two bytes of its file, so
// that there is no second file to leave behind. They say nothing about the bytes.
const (
	mutexByte = iota // held while the pool is being opened or closed
	usageByte        // shared by all who have it open
)

// lockRange sets or drops a lock. It fails with errTaken when another has it.
func lockRange(f *os.File, offset int64, kind int16) error {
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: offset, Len: 1})
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return errTaken
		default:
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

// findLoop returns the path of the loop device that is attached to the file, or "".
func findLoop(image *os.File) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(image.Fd()), &st); err != nil {
		return "", err
	}
	attached, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, a := range attached {
		device := "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(a)))
		same, err := backs(device, &st)
		if err != nil {
			return "", err
		}
		if same {
			return device, nil
		}
	}
	return "", nil
}

// detachTime is how long a loop device may outlive its last mount: somebody who looks
// at all devices may have it open for an instant.
const detachTime = 2 * time.Second

// awaitDetached waits until no loop device is attached to the file.
func awaitDetached(ctx context.Context, image *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, detachTime)
	defer cancel()
	return retry(ctx, func() error {
		device, err := findLoop(image)
		if err == nil && device != "" {
			err = fmt.Errorf("%s: a copy of its mount is %w", device, errTaken)
		}
		return err
	})
}

// backs reports whether the loop device is attached to the file st describes. A
// device that is detached meanwhile is not.
func backs(device string, st *unix.Stat_t) (bool, error) {
	f, err := os.Open(device)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENXIO) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if errors.Is(err, unix.ENXIO) {
		return false, nil
	}
	if err != nil {
		return false, &os.PathError{Op: "loop status", Path: device, Err: err}
	}
	return info.Inode == st.Ino && info.Device == st.Dev, nil
}

// attachLoop attaches a free loop device to the file. It is detached when the last
// who has it open closes it, a mount included.
//
// The kernel keeps the open file that it is given, with any locks on it: it gets one
// of its own.
func attachLoop(image *os.File) (*os.File, error) {
	backing, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", image.Fd()), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer backing.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, hint(fmt.Errorf("%w: %w", ErrNotSupported, err), "pools need loop devices: load the kernel module loop, or bind /dev/loop-control and /dev/loop* into the container")
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, &os.PathError{Op: "find free loop device", Path: control.Name(), Err: err}
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
		copy(config.Info.File_name[:len(config.Info.File_name)-1], image.Name())
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return device, nil
		}
		_ = device.Close()
		if !errors.Is(err, unix.EBUSY) { // EBUSY: another was faster
			return nil, &os.PathError{Op: "attach loop device", Path: image.Name(), Err: err}
		}
	}
}

// growLoop makes the device as large as its file has become.
func growLoop(device string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return &os.PathError{Op: "grow loop device", Path: device, Err: err}
	}
	return nil
}

// resizeToDevice makes the btrfs mounted on dir as large as its device.
func resizeToDevice(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return btrfs.Grow(f)
}
