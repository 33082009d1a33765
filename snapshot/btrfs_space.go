package snapshot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"github.com/prologin/rig/internal/btrfs"
)

const (
	iocSync   = 0x9408
	iocFSInfo = 0x8400941f
)

// Reclaim waits until the cleaner has dropped all deleted subvolumes of the file
// system, each of which the root tree has an orphan item for until then.
func (btrfsDriver) Reclaim(ctx context.Context, dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	err = retry(ctx, func() error {
		if err := btrfs.Ioctl(f, "sync", iocSync, nil); err != nil { // which wakes the cleaner, as syncfs(2) does not
			return err
		}
		_, _, dying, err := newSearch(f, itemsOf(rootTree, orphanObject, orphanItem, orphanItem)).next()
		if err == nil && dying {
			err = errTaken
		}
		return err
	})
	if err == nil { // what the cleaner dropped is free with the next transaction
		return btrfs.Ioctl(f, "sync", iocSync, nil)
	}
	if errors.Is(err, errTaken) {
		err = fmt.Errorf("space is still being freed: %w", context.Cause(ctx))
	}
	return err
}

// sysfsOf is the directory in which the kernel describes the btrfs at dir.
func sysfsOf(dir string) (string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var info struct { // struct btrfs_ioctl_fs_info_args
		maxID, devices uint64
		fsid           [16]byte
		_              [992]byte
	}
	if err := btrfs.Ioctl(f, "describe", iocFSInfo, unsafe.Pointer(&info)); err != nil {
		return "", err
	}
	id := hex.EncodeToString(info.fsid[:])
	return filepath.Join("/sys/fs/btrfs", id[:8]+"-"+id[8:12]+"-"+id[12:16]+"-"+id[16:20]+"-"+id[20:]), nil
}

// quotas reports whether quota groups are on.
func quotas(sysfs string) (bool, error) {
	_, err := os.Stat(filepath.Join(sysfs, "qgroups"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// metadataUse is which part of the space for metadata is used or reserved, from 0 to 1,
// counting what could still be allocated.
func metadataUse(sysfs, dir string) (float64, error) {
	group := filepath.Join(sysfs, "allocation", "metadata")
	if _, err := os.Stat(group); errors.Is(err, fs.ErrNotExist) {
		group = filepath.Join(sysfs, "allocation", "mixed") // of small pools
	}
	var values [3]int64
	for i, name := range []string{"bytes_used", "bytes_reserved", "total_bytes"} {
		text, err := os.ReadFile(filepath.Join(group, name))
		if err != nil {
			return 0, err
		}
		if values[i], err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return 0, err
		}
	}
	free, err := freeSpace(dir)
	if err != nil {
		return 0, err
	}
	return float64(values[0]+values[1]) / float64(values[2]+free), nil
}
