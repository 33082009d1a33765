package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

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
	// Progress, if given, is called for every file and every 64 KiB of it, by the
	// goroutine that imports, with how many files and bytes have been unpacked.
	Progress func(entries, bytes int64)
}

const (
	defaultMaxBytes   = 1 << 40
	defaultMaxEntries = 50_000_000
)

// Import makes a volume out of a stream that [Volume.Export] wrote, and with it the
// snapshot that was exported, under its own name and metadata. Neither appears before
// the whole stream has been read and its digest verified. Whatever else is to change the
// store waits as long.
//
// Whatever is wrong with the stream fails with ErrCorrupt: truncation, flipped bits,
// names that lead out of the tree, entries out of order or twice, more than opts
// allows. A stream of a newer version fails with ErrFormat, and one that is
// the difference from an older snapshot with ErrNotFound, since that is not there.
func (s *Store) Import(ctx context.Context, name string, r io.Reader, opts ImportOptions) (*Volume, Snapshot, error) {
	im := newImporter(ctx, opts)
	v, err := s.importVolume(ctx, name, r, im)
	if err != nil {
		return nil, Snapshot{}, wrap(Error{Op: "import", Path: s.dir, Volume: name}, err)
	}
	return v, im.manifest.record(1).snapshot(name, im.manifest.Name), nil
}

func (s *Store) importVolume(ctx context.Context, name string, r io.Reader, im *importer) (*Volume, error) {
	v := &Volume{store: s, name: name}
	if err := checkName("volume", name); err != nil {
		return nil, err
	}
	if err := v.free(); err != nil { // before a stream is asked for
		return nil, err
	}
	if err := im.begin(r); err != nil {
		return nil, err
	}
	defer im.end()
	if im.manifest.Since != "" {
		return nil, hint(fmt.Errorf("parent of the stream: %w", ErrNotFound), "import it into a volume that has the parent")
	}
	return v, s.do(ctx, intent{Op: "create", Volume: name}, v.free, func(op *operation) error {
		if err := s.driver.Create(ctx, op.work("tree")); err != nil {
			return err
		}
		if err := s.unpack(ctx, op.work("tree"), im); err != nil {
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
	if err := op.importItem(ctx, op.work("record", "snapshots", m.Name), m.record(1)); err != nil {
		return err
	}
	err := step(ctx, "write base", func() error { return os.Symlink(baseTarget(m.Name, 1), op.work("record", "base")) })
	if err != nil {
		return err
	}
	if err := rename(ctx, op.work("record"), v.record(), unix.RENAME_NOREPLACE); err != nil {
		return err
	}
	return op.store.driver.Place(ctx, op.work("tree"), v.Path())
}

// importItem freezes the tree that was unpacked.
func (op *operation) importItem(ctx context.Context, item string, rec snapshotRecord) (err error) {
	if rec.Descent, err = op.store.descent(op.work("tree")); err != nil {
		return err
	}
	if err := step(ctx, "make item", func() error { return os.Mkdir(item, 0o700) }); err != nil {
		return err
	}
	if err := writeRecord(ctx, filepath.Join(item, snapshotFile), rec); err != nil {
		return err
	}
	return op.store.driver.Freeze(ctx, filepath.Join(item, "tree"), op.work("tree"))
}

func (m Manifest) record(sequence uint64) snapshotRecord {
	return snapshotRecord{ID: m.ID, Sequence: sequence, Created: m.Created, Metadata: m.Metadata}
}

// Import adds a snapshot to the volume out of a stream that Export wrote, whole
// or as a difference, under its own name and metadata, and leaves the volume's tree as it is. It
// fails with ErrExists when the volume has a snapshot of that name, with ErrNotFound when
// the stream is the difference from one of which the volume has no copy, and otherwise
// as [Store.Import].
func (v *Volume) Import(ctx context.Context, r io.Reader, opts ImportOptions) (Snapshot, error) {
	im := newImporter(ctx, opts)
	rec, err := v.importSnapshot(ctx, r, im)
	if err != nil {
		return Snapshot{}, wrap(Error{Op: "import", Path: v.store.dir, Volume: v.name, Snapshot: im.manifest.Name}, err)
	}
	return rec.snapshot(v.name, im.manifest.Name), nil
}

func (v *Volume) importSnapshot(ctx context.Context, r io.Reader, im *importer) (rec snapshotRecord, err error) {
	if err := v.exists(); err != nil {
		return rec, err
	}
	if err := im.begin(r); err != nil {
		return rec, err
	}
	defer im.end()
	name, parent := im.manifest.Name, ""
	check := func() (err error) {
		if err := v.lacks(ctx, name); err != nil {
			return err
		}
		rec = im.manifest.record(0)
		if rec.Sequence, err = v.nextSequence(); err == nil && im.manifest.Since != "" {
			parent, err = v.copyOf(im.manifest.Since)
		}
		return err
	}
	return rec, v.store.do(ctx, intent{Op: "snapshot", Volume: v.name, Snapshot: name}, check, func(op *operation) error {
		if parent == "" {
			err = v.store.driver.Create(ctx, op.work("tree"))
		} else {
			err = v.store.driver.Thaw(ctx, op.work("tree"), v.frozen(parent))
		}
		if err == nil {
			err = v.store.unpack(ctx, op.work("tree"), im)
		}
		if err == nil {
			err = op.importItem(ctx, op.work("item"), rec)
		}
		if err == nil {
			err = op.draftBase(ctx, v.base(), rec.Sequence)
		}
		if err != nil {
			return err
		}
		return rename(ctx, op.work("item"), v.item(name), unix.RENAME_NOREPLACE)
	})
}

// copyOf finds the snapshot with an ID.
func (v *Volume) copyOf(id string) (string, error) {
	list, err := v.list()
	for _, s := range list {
		if s.ID == id {
			return s.Name, nil
		}
	}
	if err == nil {
		err = hint(fmt.Errorf("parent of the stream, snapshot %s: %w", abbreviate(id), ErrNotFound), "import the parent first")
	}
	return "", err
}

// unpack fills a tree in the workshop.
func (s *Store) unpack(ctx context.Context, tree string, im *importer) error {
	dir, release, err := s.driver.View(ctx, tree)
	if err != nil {
		return err
	}
	root, err := os.Open(dir)
	if err == nil {
		err = im.all(root)
		if err == nil {
			err = unix.Syncfs(int(root.Fd()))
		}
		err = errors.Join(err, root.Close())
	}
	return errors.Join(err, release())
}
