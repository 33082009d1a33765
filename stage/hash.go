package stage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// hasher hashes files of the host and remembers those that did not change.
type hasher struct{ cache *hashCache }

// entry is one file of a tree being hashed.
type entry struct {
	rel  string // relative to the tree, "." for itself
	path string
	info fs.FileInfo
	sum  string // content's hash, or a symlink's target
}

// manifest returns one line for each file of the tree at path: type, mode, owner, a
// device's number, content's hash and name, in lexical order. The tree may be a single file; a symlink
// given as path is followed, those inside are not.
func (h *hasher) manifest(ctx context.Context, path string, owner bool) (string, error) {
	entries, err := list(path)
	if err != nil {
		return "", err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range entries {
		e := &entries[i]
		switch {
		case e.info.Mode().IsRegular():
			g.Go(func() (err error) {
				e.sum, err = h.file(ctx, e.path)
				return err
			})
		case e.info.Mode()&fs.ModeSymlink != 0:
			if e.sum, err = os.Readlink(e.path); err != nil {
				return "", errors.Join(err, g.Wait())
			}
		}
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range entries {
		e.write(&b, owner)
	}
	return b.String(), nil
}

func (e *entry) write(b *strings.Builder, owner bool) {
	fmt.Fprintf(b, "%v ", e.info.Mode())
	st, ok := e.info.Sys().(*syscall.Stat_t)
	if ok && owner {
		fmt.Fprintf(b, "%d:%d ", st.Uid, st.Gid)
	}
	if ok && e.info.Mode()&fs.ModeDevice != 0 {
		fmt.Fprintf(b, "device %d ", st.Rdev)
	}
	if e.sum != "" {
		fmt.Fprintf(b, "%q ", e.sum)
	}
	fmt.Fprintf(b, "%q\n", e.rel)
}

func list(root string) ([]entry, error) {
	resolved, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	var entries []entry
	err = filepath.WalkDir(resolved, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrChanged, err)
		}
		rel, err := filepath.Rel(resolved, path)
		if err != nil {
			return err
		}
		entries = append(entries, entry{rel: rel, path: path, info: info})
		return nil
	})
	return entries, err
}

// file returns the hash of one regular file's content, from the cache if the file's
// identity, size and times are those of the last time.
func (h *hasher) file(ctx context.Context, path string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return "", err
	}
	if sum, ok := h.cache.get(path, before); ok {
		return sum, nil
	}
	digest := sha256.New()
	// Hidden from io.Copy, *os.File cannot bring its own small buffer.
	if _, err := io.CopyBuffer(digest, struct{ io.Reader }{f}, make([]byte, 256<<10)); err != nil {
		return "", err
	}
	after, err := f.Stat()
	if err != nil {
		return "", err
	}
	if identify(before) != identify(after) {
		return "", fmt.Errorf("%w: %s", ErrChanged, path)
	}
	sum := hex.EncodeToString(digest.Sum(nil))
	h.cache.put(path, after, sum)
	return sum, nil
}
