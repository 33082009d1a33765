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
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// ImportOptions limits what a stream may do. The zero value is for streams from one's
// own hand.
type ImportOptions struct {
	// Digest, if given, is what Export returned: any other stream is refused.
	Digest string
	// MaxBytes is how much data the stream may unpack to; 0 means 1 TiB.
	MaxBytes int64
	// MaxEntries is how many files it may have; 0 means 50 million.
	MaxEntries int64
	// NoDevices refuses a stream that has device nodes.
	NoDevices bool
}

const (
	defaultMaxBytes   = 1 << 40
	defaultMaxEntries = 50_000_000
	maxManifest       = 16 << 20
	maxWindow         = 128 << 20 // of zstd: what its own program allows too
)

// Import makes a volume out of a stream that [Volume.Export] wrote, and with it the
// snapshot that was exported, under its own name and metadata. Neither appears before
// the whole stream has been read and its digest verified.
//
// Whatever is wrong with the stream fails with ErrCorrupt: truncation, flipped bits,
// names that lead out of the tree, entries out of order or twice, more than opts
// allows. A stream of a newer version fails with ErrFormat.
func (s *Store) Import(ctx context.Context, name string, r io.Reader, opts ImportOptions) (*Volume, Snapshot, error) {
	im := &importer{ctx: ctx, opts: opts, sum: sha256.New()}
	v, err := s.importVolume(ctx, name, r, im)
	if err != nil {
		return nil, Snapshot{}, wrap(Error{Op: "import", Path: s.dir, Volume: name}, err)
	}
	rec := snapshotRecord{Sequence: 1, Created: im.manifest.Created, Metadata: im.manifest.Metadata}
	return v, rec.snapshot(name, im.manifest.Name), nil
}

func (s *Store) importVolume(ctx context.Context, name string, r io.Reader, im *importer) (*Volume, error) {
	v := &Volume{store: s, name: name}
	if err := checkName("volume", name); err != nil {
		return nil, err
	}
	return v, s.do(ctx, intent{Op: "create", Volume: name}, v.free, func(op *operation) error {
		if err := s.driver.Create(ctx, op.work("tree")); err != nil {
			return err
		}
		if err := s.unpack(ctx, op.work("tree"), r, im); err != nil {
			return err
		}
		if err := op.makeRecord(ctx, volumeRecord{time.Now().UTC(), ""}); err != nil {
			return err
		}
		return op.importRecord(ctx, v, im.manifest)
	})
}

// importRecord adds the snapshot to the record, and shows all.
func (op *operation) importRecord(ctx context.Context, v *Volume, m Manifest) error {
	item := op.work("record", "snapshots", m.Name)
	if err := step(ctx, "make item", func() error { return os.Mkdir(item, 0o700) }); err != nil {
		return err
	}
	if err := writeRecord(ctx, item+"/"+snapshotFile, snapshotRecord{Sequence: 1, Created: m.Created, Metadata: m.Metadata}); err != nil {
		return err
	}
	if err := op.store.driver.Freeze(ctx, item+"/tree", op.work("tree")); err != nil {
		return err
	}
	err := step(ctx, "write base", func() error { return os.Symlink(m.Name, op.work("record", "base")) })
	if err != nil {
		return err
	}
	if err := rename(ctx, op.work("record"), v.record(), unix.RENAME_NOREPLACE); err != nil {
		return err
	}
	return op.store.driver.Place(ctx, op.work("tree"), v.Path())
}

// unpack fills a tree in the workshop.
func (s *Store) unpack(ctx context.Context, tree string, r io.Reader, im *importer) error {
	dir, release, err := s.driver.View(ctx, tree)
	if err != nil {
		return err
	}
	root, err := os.Open(dir)
	if err == nil {
		err = step(ctx, "unpack", func() error { return im.all(root, r) })
		if err == nil {
			err = unix.Syncfs(int(root.Fd()))
		}
		err = errors.Join(err, root.Close())
	}
	return errors.Join(err, release())
}

// An importer reads one stream.
type importer struct {
	ctx      context.Context
	opts     ImportOptions
	sum      hash.Hash
	manifest Manifest
	entries  int64
	tar      *tar.Reader
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

func (im *importer) all(root *os.File, r io.Reader) error {
	z, err := zstd.NewReader(bufio.NewReaderSize(r, 1<<20), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return corrupt(err)
	}
	defer z.Close()
	if im.opts.MaxBytes == 0 {
		im.opts.MaxBytes = defaultMaxBytes
	}
	if im.opts.MaxEntries == 0 {
		im.opts.MaxEntries = defaultMaxEntries
	}
	unpacked := &limited{im.ctx, z, im.opts.MaxBytes}
	im.tar = tar.NewReader(unpacked)
	if err := im.readManifest(); err != nil {
		return err
	}
	if err := im.readTree(root); err != nil {
		return err
	}
	if _, err := im.tar.Next(); !errors.Is(err, io.EOF) {
		return corrupt(fmt.Errorf("an entry follows the digest: %w", err))
	}
	_, err = io.Copy(io.Discard, unpacked) // to the checksum of the compression
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
		if im.entries++; im.entries > im.opts.MaxEntries {
			return corrupt(errors.New("has more entries than are allowed"))
		}
		if err := u.entry(h); err != nil {
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
	if im.manifest.Format > 1 {
		return fmt.Errorf("stream has format %d, this program knows 1: %w", im.manifest.Format, ErrFormat)
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
