//go:build !cgo

package snapshot

import (
	"os"
	"path/filepath"

	"github.com/prologin/rig/internal/btrfs"
)

// createSubvolume makes an empty subvolume at an absolute, clean path.
func createSubvolume(path string) error {
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	return btrfs.CreateIn(parent, filepath.Base(path))
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
	return btrfs.SnapshotIn(parent, filepath.Base(dst), from, readOnly)
}
