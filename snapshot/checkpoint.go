package snapshot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Checkpoint takes a snapshot of each of several volumes under one name and metadata:
// of all of them or, when it fails, of none. It returns them in the order of the
// volumes. It fails with ErrExists when any of them has a snapshot of that name, and
// with ErrInvalid when there is no volume, or one twice.
//
// Where the driver's Capabilities say Live, the trees are frozen at once and share what
// the file system does to make them durable, so that many take little longer than one.
func (s *Store) Checkpoint(ctx context.Context, name string, md Metadata, volumes ...*Volume) ([]Snapshot, error) {
	c := &checkpoint{name: name, md: md}
	err := c.add(s, volumes)
	if err == nil {
		err = s.do(ctx, intent{Op: "checkpoint", Snapshot: name, Volumes: c.names()}, func() error { return c.check(ctx) }, func(op *operation) error {
			return c.run(ctx, op)
		})
	}
	if err != nil {
		return nil, wrap(Error{Op: "checkpoint", Path: s.dir, Snapshot: name}, err)
	}
	var taken []Snapshot
	for i, v := range c.volumes {
		taken = append(taken, c.records[i].snapshot(v.name, name))
	}
	return taken, nil
}

type checkpoint struct {
	name    string
	md      Metadata
	volumes []*Volume
	records []snapshotRecord
}

func (c *checkpoint) add(s *Store, volumes []*Volume) error {
	if err := checkName("snapshot", c.name); err != nil {
		return err
	}
	met := map[string]bool{}
	for _, v := range volumes {
		if met[v.name] || v.store.dir != s.dir {
			return fmt.Errorf("volume %s is given twice or is of another store: %w", v.name, ErrInvalid)
		}
		met[v.name] = true
		c.volumes = append(c.volumes, &Volume{store: s, name: v.name})
	}
	if len(volumes) == 0 {
		return fmt.Errorf("no volume is given: %w", ErrInvalid)
	}
	return nil
}

func (c *checkpoint) names() (names []string) {
	for _, v := range c.volumes {
		names = append(names, v.name)
	}
	return names
}

func (c *checkpoint) check(ctx context.Context) error {
	for _, v := range c.volumes {
		rec, err := v.nextRecord(ctx, c.name, c.md)
		if err != nil {
			return fmt.Errorf("volume %s: %w", v.name, err)
		}
		c.records = append(c.records, rec)
	}
	return nil
}

// nextRecord is that of a snapshot which is about to be taken, if that is allowed.
func (v *Volume) nextRecord(ctx context.Context, name string, md Metadata) (rec snapshotRecord, err error) {
	if err := v.lacks(ctx, name); err != nil {
		return rec, err
	}
	rec = snapshotRecord{ID: rand.Text(), Created: time.Now().UTC(), Metadata: md}
	if rec.Parent == "" {
		rec.Parent = v.base()
	}
	if rec.Descent, err = v.store.descent(v.Path()); err != nil {
		return rec, err
	}
	rec.Sequence, err = v.nextSequence()
	return rec, err
}

// run makes all items, decides, and leaves it to settleCheckpoint to show them.
func (c *checkpoint) run(ctx context.Context, op *operation) error {
	for i, rec := range c.records {
		err := step(ctx, "make item", func() error { return os.MkdirAll(op.part(i), 0o700) })
		if err == nil {
			err = writeRecord(ctx, op.part(i, snapshotFile), rec)
		}
		if err == nil {
			err = step(ctx, "draft base", func() error { return os.Symlink(baseTarget(c.name, rec.Sequence), op.partBase(i)) })
		}
		if err != nil {
			return err
		}
	}
	if err := c.freeze(ctx, op); err != nil {
		return err
	}
	return step(ctx, "decide", func() error { return os.Symlink("yes", op.work("decided")) })
}

func (c *checkpoint) freeze(ctx context.Context, op *operation) error {
	driver := op.store.driver
	var all sync.WaitGroup
	errs := make([]error, len(c.volumes))
	for i, v := range c.volumes {
		freeze := func() {
			if errs[i] = driver.Freeze(ctx, op.part(i, "tree"), v.Path()); errs[i] != nil {
				errs[i] = fmt.Errorf("volume %s: %w", v.name, errs[i])
			}
		}
		if driver.Capabilities().Live {
			all.Go(freeze)
		} else {
			freeze()
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// part is a path in the item that is made for the i-th volume, partBase its new base.
func (op *operation) part(i int, elem ...string) string {
	return filepath.Join(op.work("parts", strconv.Itoa(i)), filepath.Join(elem...))
}

func (op *operation) partBase(i int) string { return op.work("parts", strconv.Itoa(i)+".base") }

// settleCheckpoint shows all items if that was decided.
func (op *operation) settleCheckpoint(ctx context.Context) (bool, error) {
	decided, err := present(op.work("decided"))
	if err != nil || !decided {
		return false, err
	}
	for i, name := range op.Volumes {
		v := &Volume{store: op.store, name: name}
		if there, err := present(op.part(i)); err != nil {
			return false, err
		} else if there {
			if err := rename(ctx, op.part(i), v.item(op.Snapshot), unix.RENAME_NOREPLACE); err != nil {
				return false, err
			}
		}
		if err := op.move(ctx, op.partBase(i), v.record("base")); err != nil {
			return false, err
		}
	}
	return true, nil
}
