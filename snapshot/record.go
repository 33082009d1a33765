package snapshot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLink is the longest record that is kept in a symbolic link: even a btrfs with
// small nodes takes it.
const maxLink = 1900

// writeRecord writes v as JSON under a name that is free. Nobody may look there yet.
//
// A record is the target of a symbolic link if it is short enough: that is made in one
// step, and a power cut keeps it or loses it in order with the renames that follow,
// without waiting for the disk. A file is made durable instead.
func writeRecord(ctx context.Context, path string, v any) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return step(ctx, "write "+filepath.Base(path), func() error {
		if text.Len() <= maxLink {
			return os.Symlink(strings.TrimSpace(text.String()), path)
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(text.Bytes())
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
	var text []byte
	link, err := os.Readlink(path)
	if errors.Is(err, unix.EINVAL) { // a file
		text, err = os.ReadFile(path)
	} else {
		text = []byte(link)
	}
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

// present reports whether anything is at path.
func present(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
