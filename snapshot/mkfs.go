package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// findMkfs returns the first that is there: a user's PATH may lack the administrator's
// directories.
func findMkfs(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", hint(fmt.Errorf("mkfs.btrfs: %w", ErrMissingProgram), "install the package btrfs-progs (Debian and Arch)")
}

// makeImage makes the file under another name first, so that path is a whole pool or
// is not there. A lock on the draft tells one that is being made from one that a
// killed process left.
func makeImage(ctx context.Context, mkfs, path string, size int64) (err error) {
	draft := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	f, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := lockDraft(f, draft); err != nil {
		return fmt.Errorf("pool is being made: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(draft))
		}
	}()
	err = step(ctx, "size pool", func() error { return errors.Join(f.Truncate(0), f.Truncate(size)) })
	if err != nil {
		return err
	}
	err = step(ctx, "format pool", func() error {
		cmd := exec.CommandContext(ctx, mkfs, append(mkfsOptions(size), draft)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", mkfs, err, strings.TrimSpace(string(out)))
		}
		return f.Sync()
	})
	if err != nil {
		return err
	}
	return rename(ctx, draft, path, unix.RENAME_NOREPLACE)
}

// lockDraft locks a draft that is still one: whoever made it a pool, since it was opened,
// has let go of the lock.
func lockDraft(f *os.File, path string) error {
	if err := lockRange(f, mutexByte, unix.F_WRLCK); err != nil {
		return err
	}
	same, err := named(f, path)
	if err == nil && !same {
		err = errTaken
	}
	return err
}

// named reports whether path still is the name of an open file.
func named(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// mkfsOptions: one copy of the metadata will do, in a single file. In a small pool
// metadata and data share their space, or files would soon leave the metadata none.
func mkfsOptions(size int64) []string {
	const small = 4 << 30
	options := []string{"--quiet", "--nodiscard", "--metadata", "single", "--data", "single"}
	if size < small {
		options = append(options, "--mixed")
	}
	return options
}
