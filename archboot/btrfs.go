package archboot

import (
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The two requests of linux/btrfs.h that clones need. Other modules for it want cgo.
const (
	iocSnapDestroy  = 0x5000940f
	iocSnapCreateV2 = 0x50009417
)

// volArgs is struct btrfs_ioctl_vol_args.
type volArgs struct {
	fd   int64
	name [4088]byte
}

// volArgsV2 is struct btrfs_ioctl_vol_args_v2.
type volArgsV2 struct {
	fd      int64
	transid uint64
	flags   uint64
	unused  [4]uint64
	name    [4040]byte
}

// snapshot makes target, which must not exist, a writable snapshot of a subvolume. It
// fails where base is no subvolume of a btrfs that target is to be on as well.
func snapshot(base, target string) error {
	from, err := os.Open(base)
	if err != nil {
		return err
	}
	defer from.Close()
	args := volArgsV2{fd: int64(from.Fd())}
	return subvolume(target, iocSnapCreateV2, args.name[:], unsafe.Pointer(&args))
}

// destroy removes a subvolume.
func destroy(path string) error {
	var args volArgs
	return subvolume(path, iocSnapDestroy, args.name[:], unsafe.Pointer(&args))
}

// subvolume makes a request on the directory above path, with the last element of
// path in its arguments.
func subvolume(path string, request uintptr, name []byte, args unsafe.Pointer) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if base := filepath.Base(path); copy(name[:len(name)-1], base) < len(base) {
		return unix.ENAMETOOLONG
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), request, uintptr(args)); errno != 0 {
		return &os.PathError{Op: "btrfs ioctl", Path: path, Err: errno}
	}
	return nil
}
