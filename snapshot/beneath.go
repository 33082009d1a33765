package snapshot

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// openBeneath opens a directory below root, whatever symbolic links a machine puts
// in the way meanwhile.
func openBeneath(root *os.File, path string) (*os.File, error) {
	return openResolved(root, path, 0)
}

// openSameMount does the same and fails with EXDEV at a mount point.
func openSameMount(root *os.File, path string) (*os.File, error) {
	return openResolved(root, path, unix.RESOLVE_NO_XDEV)
}

func openResolved(root *os.File, path string, resolve uint64) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: resolve | unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(int(root.Fd()), path, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), filepath.Join(root.Name(), path)), nil
		case unix.EINTR, unix.EAGAIN: // EAGAIN: something was renamed meanwhile
		default:
			return nil, &os.PathError{Op: "openat2", Path: filepath.Join(root.Name(), path), Err: err}
		}
	}
}
