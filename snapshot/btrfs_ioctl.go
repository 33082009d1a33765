package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

// The requests of linux/btrfs.h that this package makes itself.
const (
	iocGetFlags       = 0x80089419
	iocSetFlags       = 0x4008941a
	iocGetSubvolInfo  = 0x81f8943c
	iocGetSubvolRefs  = 0xd000943d
	iocInoLookupUser  = 0xd000943e
	subvolReadOnly    = 1 << 1 // BTRFS_SUBVOL_RDONLY
	rootReadOnly      = 1 << 0 // BTRFS_ROOT_SUBVOL_RDONLY: the same, on disk
	firstFreeObjectID = 256    // the inode of the root of every subvolume
)

// subvolInfo is struct btrfs_ioctl_get_subvol_info_args.
type subvolInfo struct {
	TreeID                                 uint64
	Name                                   [256]byte
	ParentID, DirID                        uint64
	Generation, Flags                      uint64
	UUID, ParentUUID, ReceivedUUID         [16]byte
	CTransID, OTransID, STransID, RTransID uint64
	Times                                  [4]struct {
		Sec  uint64
		Nsec uint32
	}
	_ [8]uint64
}

// subvolRefs is struct btrfs_ioctl_get_subvol_rootref_args: the subvolumes that
// are linked from the directories of one.
type subvolRefs struct {
	minTreeID uint64
	refs      [255]struct{ treeID, dirID uint64 }
	n         uint8
	_         [7]byte
}

// inoLookupUser is struct btrfs_ioctl_ino_lookup_user_args.
type inoLookupUser struct {
	dirID  uint64
	treeID uint64
	name   [256]byte
	path   [3824]byte
}

// setReadOnly sets or clears the read-only flag of a subvolume.
func setReadOnly(subvol *os.File, on bool) error {
	var flags uint64
	if err := btrfs.Ioctl(subvol, "get flags of", iocGetFlags, unsafe.Pointer(&flags)); err != nil {
		return err
	}
	want := flags &^ subvolReadOnly
	if on {
		want |= subvolReadOnly
	}
	if want == flags {
		return nil
	}
	return btrfs.Ioctl(subvol, "set flags of", iocSetFlags, unsafe.Pointer(&want))
}

// infoOf describes the subvolume that f lies in.
func infoOf(f *os.File) (info subvolInfo, err error) {
	err = btrfs.Ioctl(f, "get info of", iocGetSubvolInfo, unsafe.Pointer(&info))
	return info, err
}

// A nested subvolume is one that is linked from a directory of another.
type nested struct {
	id   uint64
	path string // relative to the outer one
}

// nestedIn lists the subvolumes directly nested in subvol. It asks the kernel for
// the links instead of walking all files.
func nestedIn(subvol *os.File) ([]nested, error) {
	var list []nested
	for args := new(subvolRefs); ; {
		err := btrfs.Ioctl(subvol, "list subvolumes of", iocGetSubvolRefs, unsafe.Pointer(args))
		if err != nil && !errors.Is(err, unix.EOVERFLOW) { // more than fit at once
			return nil, err
		}
		for _, ref := range args.refs[:args.n] {
			path, lookupErr := lookup(subvol, ref.treeID, ref.dirID)
			if errors.Is(lookupErr, unix.ENOENT) {
				continue // deleted meanwhile
			}
			if lookupErr != nil {
				return nil, lookupErr
			}
			list = append(list, nested{ref.treeID, path})
		}
		if err == nil {
			return list, nil
		}
		args.n = 0
	}
}

// lookup returns the path in subvol at which the subvolume of that id is linked.
func lookup(subvol *os.File, id, dirID uint64) (string, error) {
	args := inoLookupUser{dirID: dirID, treeID: id}
	if err := btrfs.Ioctl(subvol, "look up subvolume in", iocInoLookupUser, unsafe.Pointer(&args)); err != nil {
		return "", err
	}
	path := filepath.Join(cString(args.path[:]), cString(args.name[:]))
	if path == "." || filepath.IsAbs(path) {
		return "", fmt.Errorf("subvolume %d has no path in %s: %w", id, subvol.Name(), ErrCorrupt)
	}
	return path, nil
}

func cString(field []byte) string {
	text, _, _ := bytes.Cut(field, []byte{0})
	return string(text)
}
