//go:build !cgo

package snapshot

import (
	"os"
	"path/filepath"
	"unsafe"
)

// iocSubvolCreate is BTRFS_IOC_SUBVOL_CREATE.
const iocSubvolCreate = 0x5000940e

// createSubvolume makes an empty subvolume at an absolute, clean path.
func createSubvolume(path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	var args volArgs
	if err := setName(args.name[:], filepath.Base(path)); err != nil {
		return err
	}
	return ioctl(parent, "create subvolume in", iocSubvolCreate, unsafe.Pointer(&args))
}

// snapshotSubvolume makes dst a snapshot of the subvolume src, without those nested
// in it. Both paths are absolute and clean.
func snapshotSubvolume(dst, src string, readOnly bool) error {
	parent, err := os.Open(filepath.Dir(dst))
	if err != nil {
		return err
	}
	defer parent.Close()
	from, err := openSubvolume(src)
	if err != nil {
		return err
	}
	defer from.Close()
	return snapshotIn(parent, filepath.Base(dst), from, readOnly)
}
