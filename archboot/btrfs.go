package archboot

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

// snapshot makes target, which must not exist, a writable snapshot of a subvolume. It
// fails where base is no subvolume of a btrfs that target is to be on as well.
func snapshot(base, target string) error {
	from, err := os.Open(base)
	if err != nil {
		return err
	}
	defer from.Close()
	whole, err := btrfs.IsSubvolume(from)
	if err == nil && !whole { // older kernels would take the subvolume around it
		err = fmt.Errorf("%s is no subvolume: %w", base, unix.EINVAL)
	}
	if err != nil {
		return err
	}
	return above(target, func(dir *os.File, name string) error { return btrfs.SnapshotIn(dir, name, from, false) })
}

// destroy removes a subvolume.
func destroy(path string) error { return above(path, btrfs.DeleteIn) }

// above makes a request on the directory above path, for the last element of path.
func above(path string, request func(dir *os.File, name string) error) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return request(dir, filepath.Base(path))
}
