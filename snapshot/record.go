package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// writeRecord writes v as JSON to a new file and makes it durable. The file must
// lie where nobody looks yet.
func writeRecord(ctx context.Context, path string, v any) error {
	text, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return step(ctx, "write "+filepath.Base(path), func() error {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(append(text, '\n'))
		return errors.Join(err, f.Sync(), f.Close())
	})
}

// replaceRecord writes v in place of the record at path; a reader sees the old
// or the new one. Only the holder of the store's lock may call it. A crash leaves
// at most the one file path+".new", which the next call takes over.
func replaceRecord(ctx context.Context, path string, v any) error {
	draft := path + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := writeRecord(ctx, draft, v)
	if err == nil {
		err = rename(ctx, draft, path, 0)
	}
	if err != nil {
		_ = os.Remove(draft)
	}
	return err
}

// readRecord reads what writeRecord wrote.
func readRecord(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrCorrupt, err)
	}
	return nil
}

// rename is renameat2(2), whose flags os.Rename lacks.
func rename(ctx context.Context, from, to string, flags uint) error {
	return step(ctx, "rename to "+filepath.Base(to), func() error {
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
		if err != nil {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
		return nil
	})
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// present reports whether anything is at path.
func present(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
