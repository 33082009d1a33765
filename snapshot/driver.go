package snapshot

import (
	"context"
	"errors"
	"fmt"
)

// A Driver makes, freezes and replaces trees on one kind of file system. It knows
// neither volumes nor names: the [Store] decides where trees live, writes down
// what it is about to do, and asks the driver for one step at a time.
//
// A tree is named by an absolute path. It is either writable or frozen. A tree is
// placed when it is where a volume shows it, and otherwise lies in the store's
// workshop, on the same file system, out of anyone's sight. The path is where the
// store keeps the tree; where its files can be read is for View to say. A tree is
// placed at DIR/NAME, and the others lie below DIR/.rig, where the driver may keep what
// it needs in a directory of its own name.
//
// Every method but Swap, Place and Withdraw may be interrupted at any instant by
// the death of the process, leaving a half-made tree: Remove must then be able
// to remove it. Swap must be atomic as far as Identity can tell. The store never
// calls a driver for one tree from two goroutines or processes at once.
//
// Errors are what the system said, or wrap the sentinels of this package.
//
// A driver that is an [io.Closer] too is closed with the Store.
type Driver interface {
	// Name is a short word that is written into the store's record.
	Name() string
	// Capabilities says what the driver promises on every directory that it
	// accepts.
	Capabilities() Capabilities
	// Probe reports whether the driver works on the file system of scratch, an
	// empty directory in which it may try things and need not tidy up. It has three
	// answers: nil for yes; an error that matches ErrNotSupported for no, and why;
	// any other error when it could not tell.
	Probe(ctx context.Context, scratch string) error

	// Create makes an empty writable tree at path, where nothing is.
	Create(ctx context.Context, path string) error
	// Freeze makes a frozen copy of the writable tree src, which may be placed
	// and in use, at dst.
	Freeze(ctx context.Context, dst, src string) error
	// Thaw makes a writable copy of the frozen tree src at dst.
	Thaw(ctx context.Context, dst, src string) error
	// Remove removes a tree that is not placed, whole or half-made, and
	// succeeds when there is none.
	Remove(ctx context.Context, path string) error

	// Place moves a writable tree to the path at which a volume shows it. It
	// fails with ErrExists when anything is there.
	Place(ctx context.Context, tree, path string) error
	// Withdraw is the reverse of Place.
	Withdraw(ctx context.Context, path, tree string) error
	// Swap exchanges the unplaced writable tree with the placed one.
	Swap(ctx context.Context, tree, path string) error
	// Settle makes a placed tree usable, after a crash or a reboot as well. The
	// store calls it for every volume when it is opened and before it uses one.
	Settle(ctx context.Context, path string) error
	// Identity names the tree at path for as long as it exists, wherever it
	// is moved.
	Identity(path string) (string, error)
	// View returns a directory where the files of a tree can be read, and written
	// if the tree is writable. It is valid until release is called.
	View(ctx context.Context, path string) (dir string, release func() error, err error)
}

// Capabilities is what a driver promises. As [Options].Require it is what the
// caller cannot do without.
type Capabilities struct {
	// Instant: snapshot and restore take the same time however many files a
	// volume has.
	Instant bool
	// Live: a snapshot of a volume that is being written shows one instant.
	// Without it the writer has to be stopped or frozen first.
	Live bool
	// Shared: a snapshot takes space only for what differs.
	Shared bool
	// Exclusive: the driver can tell how much space a snapshot alone takes.
	Exclusive bool
	// Renames: Diff tells what was renamed from what was removed and added.
	Renames bool
}

// missing lists what want asks for and c does not promise.
func (c Capabilities) missing(want Capabilities) []string {
	var names []string
	for _, f := range []struct {
		want, have bool
		name       string
	}{
		{want.Instant, c.Instant, "instant snapshots"},
		{want.Live, c.Live, "snapshots of a volume in use"},
		{want.Shared, c.Shared, "sharing of space"},
		{want.Exclusive, c.Exclusive, "exclusive sizes"},
		{want.Renames, c.Renames, "renamed files"},
	} {
		if f.want && !f.have {
			names = append(names, f.name)
		}
	}
	return names
}

// choose returns the first driver that works in scratch and promises what is
// required, and the reason for the choice. The reasons against the others are in
// the error when none does.
func choose(ctx context.Context, scratch string, drivers []Driver, require Capabilities) (Driver, string, error) {
	var reasons []error
	for _, d := range drivers {
		err := d.Probe(ctx, scratch)
		if missing := d.Capabilities().missing(require); err == nil && len(missing) > 0 {
			err = fmt.Errorf("promises no %v: %w", missing, ErrNotSupported)
		}
		if err == nil {
			return d, because(d, reasons), nil
		}
		reasons = append(reasons, fmt.Errorf("driver %s: %w", d.Name(), err))
		if !errors.Is(err, ErrNotSupported) {
			break // could not tell: the next driver would hide the fault
		}
	}
	return nil, "", errors.Join(reasons...)
}

// because says why d was chosen and the drivers before it were not.
func because(d Driver, against []error) string {
	if len(against) == 0 {
		return d.Name() + ": first choice, works here"
	}
	return fmt.Sprintf("%s: %v", d.Name(), errors.Join(against...))
}

// builtin are the drivers of this package, best first.
func builtin() []Driver { return []Driver{Btrfs(), Overlay(), Copy()} }
