package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A Volume is a writable tree with a name, and its snapshots. It stands for the
// name: after the volume is deleted its methods fail with ErrNotFound.
type Volume struct {
	store *Store
	name  string
}

// volumeRecord is what volume.json holds.
type volumeRecord struct {
	Created time.Time
	Origin  string `json:",omitempty"` // VOLUME/SNAPSHOT that it is a clone of
}

// Create makes an empty volume. It fails with ErrExists when there is a volume, or
// anything else, of that name in the store's directory.
func (s *Store) Create(ctx context.Context, name string) (*Volume, error) {
	return s.create(ctx, name, "", func(tree string) error {
		return s.driver.Create(ctx, tree)
	})
}

// Clone makes a volume that starts as a copy of a snapshot of any volume of this
// store, and has no snapshots of its own yet.
func (s *Store) Clone(ctx context.Context, name string, from Snapshot) (*Volume, error) {
	source := &Volume{store: s, name: from.Volume}
	return s.create(ctx, name, from.Volume+"/"+from.Name, func(tree string) error {
		if err := source.has(from.Name); err != nil {
			return err
		}
		return s.driver.Thaw(ctx, tree, source.frozen(from.Name))
	})
}

func (s *Store) create(ctx context.Context, name, origin string, make func(tree string) error) (*Volume, error) {
	v := &Volume{store: s, name: name}
	err := checkName("volume", name)
	if err == nil {
		err = s.do(ctx, intent{Op: "create", Volume: name}, v.free, func(op *operation) error {
			if err := make(op.work("tree")); err != nil {
				return err
			}
			if err := op.makeRecord(ctx, volumeRecord{time.Now().UTC(), origin}); err != nil {
				return err
			}
			if err := rename(ctx, op.work("record"), v.record(), unix.RENAME_NOREPLACE); err != nil {
				return err
			}
			return s.driver.Place(ctx, op.work("tree"), v.Path())
		})
	}
	if err != nil {
		return nil, wrap(Error{Op: "create", Path: s.dir, Volume: name}, err)
	}
	return v, nil
}

// makeRecord makes the record of a new volume in the workshop.
func (op *operation) makeRecord(ctx context.Context, rec volumeRecord) error {
	err := step(ctx, "make record", func() error { return os.MkdirAll(op.work("record", "snapshots"), 0o700) })
	if err != nil {
		return err
	}
	return writeRecord(ctx, op.work("record", "volume.json"), rec)
}

// settleCreate: the tree is placed last, so that a tree which is still in the
// workshop tells that the record, if it is shown at all, must go.
func (op *operation) settleCreate(ctx context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	shown, err := present(v.record())
	if err != nil || !shown {
		return false, err
	}
	unplaced, err := present(op.work("tree"))
	if err != nil || !unplaced {
		return !unplaced, err
	}
	return false, rename(ctx, v.record(), op.work("record"), 0)
}

// Name is the volume's name.
func (v *Volume) Name() string { return v.name }

// Path is the directory where the volume's files are: the store's directory and
// the volume's name.
func (v *Volume) Path() string { return filepath.Join(v.store.dir, v.name) }

// record is a path in the volume's record.
func (v *Volume) record(elem ...string) string {
	return v.store.state(append([]string{"volumes", v.name}, elem...)...)
}

// exists fails with ErrNotFound unless the volume exists.
func (v *Volume) exists() error {
	if err := checkName("volume", v.name); err != nil {
		return err
	}
	ok, err := present(v.record())
	if err == nil && !ok {
		err = fmt.Errorf("no such volume: %w", ErrNotFound)
	}
	return err
}

// free fails with ErrExists if the volume's name is taken.
func (v *Volume) free() error {
	taken, err := present(v.record())
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("volume %w", ErrExists)
	}
	if taken, err = present(v.Path()); taken {
		return fmt.Errorf("%s is no volume but %w", v.Path(), ErrExists)
	}
	return err
}

// Delete removes the volume, its tree and all its snapshots. It fails with ErrBusy
// when a process or a mount still uses the tree.
func (v *Volume) Delete(ctx context.Context) error {
	err := v.store.do(ctx, intent{Op: "delete", Volume: v.name}, v.unused, func(op *operation) error {
		err := op.identify(ctx, v.Path())
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody may have removed the tree
			return err
		}
		return rename(ctx, v.record(), op.work("record"), 0)
	})
	return wrap(Error{Op: "delete", Path: v.store.dir, Volume: v.name}, err)
}

// settleDelete: the volume is deleted from the moment its record is not shown. The
// tree follows, unless it went before and something else has taken its place.
func (op *operation) settleDelete(ctx context.Context) (bool, error) {
	v := &Volume{store: op.store, name: op.Volume}
	if shown, err := present(v.record()); err != nil || shown {
		return false, err
	}
	return true, op.withdraw(ctx, v)
}

// withdraw takes the tree that the intent identifies from v into the workshop, if
// it is still there.
func (op *operation) withdraw(ctx context.Context, v *Volume) error {
	there, err := op.placed(v)
	if err != nil || !there {
		return err
	}
	return op.store.driver.Withdraw(ctx, v.Path(), op.work("tree"))
}

// placed reports whether v shows the tree that the intent identifies.
func (op *operation) placed(v *Volume) (bool, error) {
	if op.Identity == "" {
		return false, nil
	}
	id, err := op.store.driver.Identity(v.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return id == op.Identity, err
}

// Rename gives the volume another name, and with it another path, and returns it.
// It fails with ErrExists when the name is taken and with ErrBusy when a process or
// a mount uses the tree.
func (v *Volume) Rename(ctx context.Context, name string) (*Volume, error) {
	to := &Volume{store: v.store, name: name}
	err := checkName("volume", name)
	if err == nil {
		in := intent{Op: "rename", Volume: v.name, To: name}
		err = v.store.do(ctx, in, func() error {
			if err := to.free(); err != nil {
				return err
			}
			return v.unused()
		}, func(op *operation) error {
			if err := op.identify(ctx, v.Path()); err != nil {
				return err
			}
			return rename(ctx, v.record(), to.record(), unix.RENAME_NOREPLACE)
		})
	}
	if err != nil {
		return nil, wrap(Error{Op: "rename", Path: v.store.dir, Volume: v.name}, err)
	}
	return to, nil
}

// settleRename: the volume has its new name from the moment its record has. The
// tree follows by way of the workshop; where that fails because something else has
// taken the new path meanwhile, all goes back.
func (op *operation) settleRename(ctx context.Context) (bool, error) {
	from, to := &Volume{store: op.store, name: op.Volume}, &Volume{store: op.store, name: op.To}
	if shown, err := present(from.record()); err != nil {
		return false, err
	} else if shown {
		return false, op.replace(ctx, from)
	}
	if done, err := op.placed(to); done || err != nil {
		return done, err
	}
	if err := op.withdraw(ctx, from); err != nil {
		return false, err
	}
	err := op.replace(ctx, to)
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	if err := rename(ctx, to.record(), from.record(), unix.RENAME_NOREPLACE); err != nil {
		return false, err
	}
	return false, op.replace(ctx, from)
}

// replace places the tree in the workshop, if there is one, as v's.
func (op *operation) replace(ctx context.Context, v *Volume) error {
	waiting, err := present(op.work("tree"))
	if err != nil || !waiting {
		return err
	}
	return op.store.driver.Place(ctx, op.work("tree"), v.Path())
}

// unused fails with ErrNotFound unless the volume exists, and with ErrBusy if
// anything uses its tree.
func (v *Volume) unused() error {
	if err := v.exists(); err != nil {
		return err
	}
	users, err := usersOf(v.Path())
	if err != nil || len(users) == 0 {
		return err
	}
	return hint(fmt.Errorf("%s is %w by %v", v.Path(), ErrBusy, users), "stop the machine first")
}
