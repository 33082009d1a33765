package stage

import (
	"context"
	"time"
)

// Volume is a machine's writable tree with its snapshots. A run never calls two
// methods of one volume at a time.
type Volume interface {
	// Saved lists the snapshots, oldest first. One whose metadata cannot be read is
	// left out, not an error.
	Saved(ctx context.Context) ([]Saved, error)

	// Save takes a read-only snapshot of the tree. It appears whole or not at all,
	// and is on disk when Save returns. A name in use is an error that matches
	// [io/fs.ErrExist].
	Save(ctx context.Context, s Saved) error

	// Restore makes the tree a writable copy of the named snapshot. The tree is the old
	// or the new one at any instant. An unknown name is an error that matches
	// [io/fs.ErrNotExist].
	Restore(ctx context.Context, name string) error

	// Remove deletes the named snapshot.
	Remove(ctx context.Context, name string) error
}

// Saved describes one snapshot of a [Volume].
type Saved struct {
	// Name is unique in the volume and fit for a file name.
	Name string

	// Key is the key of the stage that the tree had completed. Empty means that the
	// snapshot is none of the cache: a failed tree, or somebody's own.
	Key string

	// Parent is the key of the stage before it.
	Parent string

	// Time is when it was taken. Save fills it in; what the caller puts is ignored.
	Time time.Time
}

// Resetter is a [Volume] that can make its tree what it was before the first stage,
// building that base if need be. It is called when no snapshot of the base is left
// or the plan names another base. A volume that is none must hold a fresh tree before
// the first run. Snapshots may be lost by it.
type Resetter interface {
	Reset(ctx context.Context) error
}
