package snapshot

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Size is how much space a tree takes, in bytes.
type Size struct {
	// Referenced is what all files of the tree take together, shared or not.
	Referenced int64
	// Exclusive is the data that no other tree has, which would come back if this one
	// were deleted, or -1 where the driver does not promise, in its Capabilities, to
	// know. What files of the same tree share with each other counts as shared, and
	// what btrfs keeps in its metadata, small files for instance, does not count.
	Exclusive int64
	// Entries is the number of files of all types, directories included.
	Entries int64
}

// Size measures a snapshot, or with an empty name the volume as it is now. It looks at
// every file, and writes out first what is still in memory of a volume, which may be in
// use.
func (v *Volume) Size(ctx context.Context, name string) (Size, error) {
	size, err := v.size(ctx, name)
	return size, wrap(Error{Op: "measure", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

func (v *Volume) size(ctx context.Context, name string) (Size, error) {
	dir, release, err := v.look(ctx, name)
	if err != nil {
		return Size{}, err
	}
	defer release()
	m := newMeter(ctx)
	if name == "" {
		if err := flush(dir); err != nil {
			return Size{}, err
		}
	}
	if err := m.tree(dir); err != nil {
		return Size{}, err
	}
	size := Size{Referenced: m.referenced, Entries: m.entries, Exclusive: m.exclusive}
	if !v.store.driver.Capabilities().Exclusive {
		size.Exclusive = -1
	}
	l, ok := v.store.driver.(layered)
	if !ok {
		return size, nil
	}
	path := v.Path()
	if name != "" {
		path = v.frozen(name)
	}
	size.Exclusive, err = exclusiveLayers(ctx, l, path)
	return size, err
}

// flush writes out what is in memory, so that it can be measured.
func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

// A layered driver keeps a tree in several directories, some of which it shares with
// other trees.
type layered interface {
	// Layers returns the directories of the tree at path, and whether another tree
	// of the store has them too.
	Layers(path string) (dirs map[string]bool, err error)
}

// exclusiveLayers measures the layers that only one tree has.
func exclusiveLayers(ctx context.Context, l layered, path string) (int64, error) {
	layers, err := l.Layers(path)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for dir, shared := range layers {
		if shared {
			continue
		}
		m := newMeter(ctx)
		if err := m.tree(dir); err != nil {
			return 0, err
		}
		total += m.exclusive
	}
	return total, nil
}
