//go:build cgo

package snapshot

import "github.com/containerd/btrfs/v2"

// createSubvolume makes an empty subvolume at an absolute, clean path.
func createSubvolume(path string) error { return btrfs.SubvolCreate(path) }

// snapshotSubvolume makes dst a snapshot of the subvolume src, without those nested
// in it. Both paths are absolute and clean.
func snapshotSubvolume(dst, src string, readOnly bool) error {
	return btrfs.SubvolSnapshot(dst, src, readOnly)
}
