package snapshot

import (
	"context"
	"errors"
	"iter"
	"os"
)

// A ChangeKind says what became of a file between two trees.
type ChangeKind string

// The kinds of changes. A file that became one of another type was removed and added.
const (
	Added      ChangeKind = "added"
	Removed    ChangeKind = "removed"
	Renamed    ChangeKind = "renamed"    // or moved; where the driver's Capabilities say Renames
	Content    ChangeKind = "content"    // data of a file, target of a link, number of a device
	Attributes ChangeKind = "attributes" // mode, owner or extended attributes, but not the content
)

// A Change is one file, of any type, that differs between two trees. Times alone are
// no difference.
type Change struct {
	// Path is relative to the trees, without a leading slash.
	Path string
	Kind ChangeKind
	// From is the former path of what was renamed, and empty otherwise.
	From string
}

// Diff yields what changed from one snapshot to another, in the order of the paths, a
// directory right before what is in it. An empty name stands for the volume as it is
// now. What is in a directory that was added or removed is listed as well; what was
// renamed along with its directory is not. A renamed file that was changed too is
// listed twice. It yields an error at most once, as the last element.
//
// The volume may be in use: what comes and goes meanwhile is listed or is not.
//
// Among more than 65,536 changes no renaming is looked for: those files were removed
// and added.
func (v *Volume) Diff(ctx context.Context, from, to string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		err := v.diff(ctx, from, to, func(c Change) bool { return yield(c, nil) })
		if err != nil && !errors.Is(err, errStop) {
			yield(Change{}, wrap(Error{Op: "diff", Path: v.store.dir, Volume: v.name, Snapshot: to}, err))
		}
	}
}

// errStop says that the caller wants no more.
var errStop = errors.New("stop")

func (v *Volume) diff(ctx context.Context, from, to string, yield func(Change) bool) (err error) {
	d := &differ{ctx: ctx}
	a, descentA, closeA, err := v.side(ctx, from)
	if err != nil {
		return err
	}
	defer closeA()
	b, descentB, closeB, err := v.side(ctx, to)
	if err != nil {
		return err
	}
	defer closeB()
	if t, ok := v.store.driver.(tracker); ok {
		d.suspects = func(a, b *os.File) ([]string, bool, error) { return t.Suspects(ctx, a, b, descentA, descentB) }
	}
	d.report = func(c Change, _ fileID) error {
		if !yield(c) {
			return errStop
		}
		return nil
	}
	if !v.store.driver.Capabilities().Renames {
		return d.trees("", a, b)
	}
	r := renames{differ: d, a: a, b: b, yield: yield}
	d.identify, d.report = true, r.note
	if err := d.trees("", a, b); err != nil {
		return err
	}
	return r.flush()
}

// side opens a snapshot's tree, or the volume's with no name, for comparison.
func (v *Volume) side(ctx context.Context, name string) (dir *os.File, descent string, close func(), err error) {
	path, release, err := v.look(ctx, name)
	if err != nil {
		return nil, "", nil, err
	}
	if name != "" {
		if descent, err = v.descent(name); err != nil {
			return nil, "", nil, errors.Join(err, release())
		}
	}
	if dir, err = os.Open(path); err != nil {
		return nil, "", nil, errors.Join(err, release())
	}
	return dir, descent, func() {
		_ = dir.Close()
		_ = release()
	}, nil
}

// descent is where a tree comes from, or empty where the driver does not track that.
func (s *Store) descent(path string) (string, error) {
	t, ok := s.driver.(tracker)
	if !ok {
		return "", nil
	}
	return t.Descent(path)
}

// descent is what was recorded when the snapshot was taken.
func (v *Volume) descent(name string) (string, error) {
	var rec snapshotRecord
	err := readRecord(v.record("snapshots", name, snapshotFile), &rec)
	return rec.Descent, err
}

// look gives a directory where a snapshot, or with no name the volume, can be read.
func (v *Volume) look(ctx context.Context, name string) (string, func() error, error) {
	if name != "" {
		return v.View(ctx, name)
	}
	return v.Path(), func() error { return nil }, v.exists()
}

// A tracker is a driver that can tell where two trees may differ without looking at
// every file in them.
type tracker interface {
	// Descent says where a writable tree comes from, for Suspects to read when the tree
	// is gone.
	Descent(path string) (string, error)
	// Suspects returns paths below a and b, the roots of two trees or of what is
	// nested in them: whatever differs is at one of the paths, or in a directory at
	// one of them that is not the same file in both. The descents are those of the
	// trees that a and b were frozen from, or empty. It returns false where it
	// cannot tell.
	Suspects(ctx context.Context, a, b *os.File, descentA, descentB string) (paths []string, ok bool, err error)
}
