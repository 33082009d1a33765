// Package btrfs makes the requests on subvolumes that more than one package needs, by
// ioctl(2) and without cgo.
package btrfs

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The requests of linux/btrfs.h.
const (
	iocResize       = 0x50009403
	iocSubvolCreate = 0x5000940e
	iocSnapDestroy  = 0x5000940f
	iocSnapCreateV2 = 0x50009417
	subvolReadOnly  = 1 << 1 // BTRFS_SUBVOL_RDONLY
	rootInode       = 256    // BTRFS_FIRST_FREE_OBJECTID
	maxName         = 255    // BTRFS_NAME_LEN
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

// Ioctl makes one request on an open directory, again when a signal interrupts it. Op
// says what it is in a *[os.PathError].
func Ioctl(f *os.File, op string, request uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return &os.PathError{Op: op, Path: f.Name(), Err: errno}
		}
	}
}

// IsSubvolume reports whether f, which is on a btrfs, is the root of a subvolume: a
// request on any other directory would be carried out on the subvolume around it.
func IsSubvolume(f *os.File) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return st.Ino == rootInode, nil
}

// CreateIn makes an empty subvolume in parent.
func CreateIn(parent *os.File, name string) error {
	var args volArgs
	if err := setName(args.name[:], name); err != nil {
		return err
	}
	return Ioctl(parent, "create subvolume in", iocSubvolCreate, unsafe.Pointer(&args))
}

// SnapshotIn makes a snapshot of the subvolume src in parent. It does not include the
// subvolumes nested in src.
func SnapshotIn(parent *os.File, name string, src *os.File, readOnly bool) error {
	args := volArgsV2{fd: int64(src.Fd())}
	if readOnly {
		args.flags = subvolReadOnly
	}
	if err := setName(args.name[:], name); err != nil {
		return err
	}
	return Ioctl(parent, "snapshot into", iocSnapCreateV2, unsafe.Pointer(&args))
}

// DeleteIn deletes the subvolume of that name, which must have none nested in it, from
// parent. The space comes back later, in the background.
func DeleteIn(parent *os.File, name string) error {
	var args volArgs
	if err := setName(args.name[:], name); err != nil {
		return err
	}
	return Ioctl(parent, "delete subvolume from", iocSnapDestroy, unsafe.Pointer(&args))
}

// Grow makes the file system of an open directory as large as its device.
func Grow(f *os.File) error {
	var args volArgs
	copy(args.name[:], "max")
	return Ioctl(f, "resize", iocResize, unsafe.Pointer(&args))
}

// setName puts a single file name into an argument's field.
func setName(field []byte, name string) error {
	if len(name) > maxName || name == "" {
		return &os.PathError{Op: "name subvolume", Path: name, Err: unix.ENAMETOOLONG}
	}
	copy(field, name)
	return nil
}
