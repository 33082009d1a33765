package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

const (
	iocScrub       = 0xc400941b
	iocScrubCancel = 0x941c
)

// scrubArgs is struct btrfs_ioctl_scrub_args with its struct btrfs_scrub_progress.
type scrubArgs struct {
	device, start, end, flags uint64

	dataExtents, treeExtents, dataBytes, treeBytes uint64
	readErrors, checksumErrors, verifyErrors       uint64
	noChecksum, checksumDiscards, superErrors      uint64
	mallocErrors, uncorrectable, corrected         uint64
	lastPhysical, unverified                       uint64

	_ [109]uint64
}

const scrubReadOnly = 1

// Check reads everything in the pool and compares it with its checksums. It fails with
// ErrCorrupt when something is not what was once written, saying how much, with ErrBusy
// when a check is going on, and with ctx's error when that is done first. Nothing is
// changed: the pool has one copy of everything and cannot mend itself. Whoever uses
// the pool meanwhile is slowed down.
func (p *Pool) Check(ctx context.Context) error {
	return wrap(Error{Op: "check pool", Path: p.path}, p.check(ctx))
}

func (p *Pool) check(ctx context.Context) error {
	dir, err := os.Open(p.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	// What is only in memory yet cannot be compared.
	if err := btrfs.Ioctl(dir, "sync", iocSync, nil); err != nil {
		return err
	}
	args := &scrubArgs{device: 1, end: lastNumber, flags: scrubReadOnly}
	done := make(chan error, 1)
	go func() { done <- btrfs.Ioctl(dir, "check", iocScrub, unsafe.Pointer(args)) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = cancelScrub(ctx, dir, done)
	}
	if errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("the pool is being checked %w", errTaken)
	}
	if err != nil {
		return err
	}
	return args.result()
}

// cancelScrub asks again until the check ends, since it may not have begun.
func cancelScrub(ctx context.Context, dir *os.File, done <-chan error) error {
	err := retry(context.WithoutCancel(ctx), func() error {
		select {
		case <-done:
			return context.Cause(ctx)
		default:
			_ = btrfs.Ioctl(dir, "cancel check of", iocScrubCancel, nil)
			return errTaken
		}
	})
	return err
}

func (a *scrubArgs) result() error {
	bad := a.readErrors + a.checksumErrors + a.verifyErrors + a.superErrors
	if bad == 0 && a.uncorrectable == 0 {
		return nil
	}
	return hint(fmt.Errorf("%d blocks with a wrong checksum, %d unreadable, %d of metadata out of place, %d bad superblocks: %w",
		a.checksumErrors, a.readErrors, a.verifyErrors, a.superErrors, ErrCorrupt),
		"the kernel log names the files: delete the volumes and snapshots that have them")
}
