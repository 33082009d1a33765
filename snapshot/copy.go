package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Copy returns the driver that works everywhere: trees are directories, and a frozen
// tree is a copy of one, with everything that the kernel keeps for a file but its flags,
// chattr(1). The data is shared where the file system can (reflinks of btrfs and xfs), and
// written again elsewhere. A writer should be stopped or frozen while a snapshot is taken.
func Copy() Driver { return copyDriver{} }

type copyDriver struct{}

func (copyDriver) Name() string { return "copy" }

func (copyDriver) Capabilities() Capabilities { return Capabilities{Exclusive: true} }

// Probe tries what not every file system can: to exchange two directories.
func (copyDriver) Probe(ctx context.Context, scratch string) error {
	if err := needsRoot(); err != nil {
		return err
	}
	a, b := filepath.Join(scratch, "a"), filepath.Join(scratch, "b")
	for _, d := range []string{a, b} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	err := rename(ctx, a, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("no exchange of directories here: %w", ErrNotSupported)
	}
	return err
}

func (copyDriver) Create(ctx context.Context, path string) error {
	return step(ctx, "make directory", func() error { return os.Mkdir(path, 0o755) })
}

func (copyDriver) Freeze(ctx context.Context, dst, src string) error {
	return copyTree(ctx, dst, src)
}

func (copyDriver) Thaw(ctx context.Context, dst, src string) error {
	return copyTree(ctx, dst, src)
}

func (copyDriver) Remove(ctx context.Context, path string) error {
	there, err := present(path)
	if err != nil || !there {
		return err
	}
	return step(ctx, "remove directory", func() error { return os.RemoveAll(path) })
}

func (copyDriver) Place(ctx context.Context, tree, path string) error {
	return rename(ctx, tree, path, unix.RENAME_NOREPLACE)
}

func (copyDriver) Withdraw(ctx context.Context, path, tree string) error {
	return rename(ctx, path, tree, unix.RENAME_NOREPLACE)
}

func (copyDriver) Swap(ctx context.Context, tree, path string) error {
	return rename(ctx, tree, path, unix.RENAME_EXCHANGE)
}

// Settle has nothing to do: directories need no mount.
func (copyDriver) Settle(context.Context, string) error { return nil }

func (copyDriver) Identity(path string) (string, error) { return identityOfInode(path) }

func (copyDriver) View(_ context.Context, path string) (string, func() error, error) {
	return path, func() error { return nil }, nil
}
