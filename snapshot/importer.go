package snapshot

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	maxManifest = 16 << 20
	maxWindow   = 8 << 20 // of zstd: Export needs half of it
)

// An importer reads one stream.
type importer struct {
	ctx      context.Context
	opts     ImportOptions
	sum      hash.Hash
	manifest Manifest
	done     tally
	zstd     *zstd.Decoder
	unpacked io.Reader
	tar      *tar.Reader
}

func newImporter(ctx context.Context, opts ImportOptions) *importer {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.MaxEntries == 0 {
		opts.MaxEntries = defaultMaxEntries
	}
	return &importer{ctx: ctx, opts: opts, sum: sha256.New(), done: tally{report: opts.Progress}}
}

// limited passes on what it reads until ctx is done or there is too much of it.
type limited struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errors.New("unpacks to more than is allowed")
	}
	return n, err
}

// begin reads the manifest. The caller calls end when it has done with the stream.
func (im *importer) begin(r io.Reader) (err error) {
	im.zstd, err = zstd.NewReader(bufio.NewReaderSize(r, 1<<20), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return corrupt(err)
	}
	im.unpacked = &limited{im.ctx, im.zstd, im.opts.MaxBytes}
	im.tar = tar.NewReader(im.unpacked)
	if err = im.readManifest(); err != nil {
		im.end()
	}
	return err
}

func (im *importer) end() { im.zstd.Close() }

// all reads the rest.
func (im *importer) all(root *os.File) error {
	if err := im.readTree(root); err != nil {
		return err
	}
	if _, err := im.tar.Next(); !errors.Is(err, io.EOF) {
		return corrupt(fmt.Errorf("an entry follows the digest: %w", err))
	}
	_, err := io.Copy(io.Discard, im.unpacked) // to the checksum of the compression
	return corrupt(err)
}

// readTree unpacks the entries between the manifest and the digest, and verifies that.
func (im *importer) readTree(root *os.File) error {
	u := &unpacker{importer: im, root: root}
	defer u.close()
	for {
		h, err := im.tar.Next()
		if err != nil {
			return corrupt(err)
		}
		if h.Name == digestEntry {
			if len(u.dirs) == 0 {
				return corrupt(errors.New("has no tree"))
			}
			if err := u.leave(0); err != nil {
				return err
			}
			return im.verify()
		}
		sumHeader(im.sum, h)
		if im.done.add(1, 0); im.done.entries > im.opts.MaxEntries {
			return corrupt(errors.New("has more entries than are allowed"))
		}
		err = step(im.ctx, "unpack entry", func() error { return u.entry(h) })
		if errors.Is(err, unix.EINVAL) { // nothing that a tree ever had
			err = corrupt(err)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", abbreviate(h.Name), err)
		}
	}
}

// corrupt says that it is the stream which is wrong, unless it is the context or the
// file system.
func corrupt(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrCorrupt):
		return err
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("stream: %w: %w", ErrCorrupt, err)
}

func (im *importer) readManifest() error {
	h, err := im.tar.Next()
	if err != nil {
		return corrupt(err)
	}
	if h.Name != manifestEntry || h.Size > maxManifest {
		return corrupt(errors.New("does not begin with a manifest"))
	}
	sumHeader(im.sum, h)
	text, err := io.ReadAll(io.TeeReader(im.tar, im.sum))
	if err == nil {
		err = json.Unmarshal(text, &im.manifest)
	}
	if err != nil {
		return corrupt(err)
	}
	switch m := &im.manifest; {
	case m.Format > 2:
		return fmt.Errorf("stream has format %d, this program knows 1 and 2: %w", m.Format, ErrFormat)
	case m.Format < 1, (m.Format == 2) != (m.Since != ""), len(m.ID) > maxName, len(m.Since) > maxName:
		return corrupt(errors.New("has a manifest that contradicts itself"))
	}
	return corrupt(checkName("snapshot", im.manifest.Name))
}

// verify compares the digest in the stream, and the one asked for, with what was read.
func (im *importer) verify() error {
	want := hex.EncodeToString(im.sum.Sum(nil))
	got, err := io.ReadAll(io.LimitReader(im.tar, int64(len(want))+1))
	if err != nil {
		return corrupt(err)
	}
	if string(got) != want {
		return corrupt(fmt.Errorf("digest is %s, the stream says %q", want, got))
	}
	if im.opts.Digest != "" && !strings.EqualFold(im.opts.Digest, want) {
		return corrupt(fmt.Errorf("digest is %s, not %s as asked for", want, im.opts.Digest))
	}
	return nil
}
