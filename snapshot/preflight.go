package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A Finding is something about a directory that its stores will suffer from.
type Finding struct {
	// Topic is what was looked at: "privilege", "driver", "space", "quota", "metadata".
	Topic string
	// Fatal says that no store works there until it is remedied.
	Fatal bool
	// Err is what was found. It matches the sentinels of this package, or is what
	// kept the check from being made.
	Err error
	// Remedy says what to do about it.
	Remedy string
}

// What Preflight complains about below or above.
const (
	leastFree       = 1 << 30
	mostMetadataUse = 0.85
)

// Preflight looks at an existing directory before a store is opened there, and returns
// what is wrong with it, worst first: nothing if all is well. It changes nothing, and
// needs no privilege to say that one is missing.
func Preflight(ctx context.Context, dir string) ([]Finding, error) {
	path, err := realDir(dir)
	if err != nil {
		return nil, wrap(Error{Op: "preflight", Path: dir}, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return nil, wrap(Error{Op: "preflight", Path: dir}, err)
	}
	var found []Finding
	if err := needsRoot(); err != nil {
		found = append(found, Finding{"privilege", true, err, "run as root"})
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		found = append(found, Finding{"driver", true, ErrReadOnly, advice(ErrReadOnly)})
	}
	if st.Type != unix.BTRFS_SUPER_MAGIC {
		found = append(found, Finding{"driver", false, fmt.Errorf("instant snapshots of volumes in use: %w without btrfs", ErrNotSupported),
			"CreatePool makes a btrfs in a file"})
	}
	if free := int64(st.Bavail) * st.Bsize; free < leastFree {
		found = append(found, Finding{"space", false, fmt.Errorf("%d MiB are free: %w soon", free>>20, ErrNoSpace), advice(ErrNoSpace)})
	}
	if st.Type == unix.BTRFS_SUPER_MAGIC {
		found = append(found, preflightBtrfs(path)...)
	}
	return found, ctx.Err()
}

func preflightBtrfs(dir string) (found []Finding) {
	sysfs, err := sysfsOf(dir)
	if err == nil {
		_, err = os.Stat(sysfs)
	}
	if err != nil {
		return []Finding{{"quota", false, err, "mount sysfs on /sys, to see quotas and metadata"}}
	}
	on, err := quotas(sysfs)
	if on {
		err = errors.New("quota groups are on: deleting a snapshot can take minutes")
	}
	if err != nil {
		found = append(found, Finding{"quota", false, err, "btrfs quota disable " + dir})
	}
	use, err := metadataUse(sysfs, dir)
	if err == nil && use > mostMetadataUse {
		err = fmt.Errorf("%.0f %% of the space for metadata is in use: %w soon", 100*use, ErrNoSpace)
	}
	if err != nil && !errors.Is(err, fs.ErrPermission) {
		found = append(found, Finding{"metadata", false, err, "btrfs balance start -dusage=50 " + dir})
	}
	return found
}
