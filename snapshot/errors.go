package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// What can go wrong, for [errors.Is]. An operation that returns any of them has
// left the previous state whole.
var (
	// ErrNotFound: no such store, volume, snapshot or pool. It also matches
	// [fs.ErrNotExist].
	ErrNotFound error = &sentinel{"not found", fs.ErrNotExist}
	// ErrExists: the name is taken, by a volume, a snapshot, a pool or a
	// stranger's file. It also matches [fs.ErrExist].
	ErrExists error = &sentinel{"exists already", fs.ErrExist}
	// ErrBusy: the tree, the store or the pool is still used; the text says by what. A tree
	// is used by a process whose root is in it, and by a mount that shows it or lies in
	// it. Whoever only has a file of it open, or works in a directory of it, does not
	// count: he keeps what he has.
	ErrBusy error = &sentinel{"in use", nil}
	// ErrLocked: another program held the store's lock until the context was
	// done; the text says which program and since when.
	ErrLocked error = &sentinel{"store is locked", nil}
	// ErrInvalid: a name, a size or an option that can never be accepted. It
	// also matches [fs.ErrInvalid].
	ErrInvalid error = &sentinel{"invalid", fs.ErrInvalid}
	// ErrNotSupported: the driver, the file system or the kernel cannot do it.
	// It also matches [errors.ErrUnsupported].
	ErrNotSupported error = &sentinel{"not supported", errors.ErrUnsupported}
	// ErrNoSpace: the file system is full, or a quota is reached.
	ErrNoSpace error = &sentinel{"no space left", nil}
	// ErrReadOnly: the file system is mounted read-only.
	ErrReadOnly error = &sentinel{"read-only file system", nil}
	// ErrCorrupt: a record of the store, or an imported stream, is not what was
	// once written.
	ErrCorrupt error = &sentinel{"corrupt", nil}
	// ErrFormat: the store or the stream was written by a newer version of this
	// package.
	ErrFormat error = &sentinel{"unknown format", nil}
	// ErrMissingProgram: a program that this package runs is not installed; the text
	// names the package that holds it.
	ErrMissingProgram error = &sentinel{"program not found", nil}
)

// A sentinel is an error value that may stand for one of the standard library's.
type sentinel struct {
	text string
	std  error
}

func (s *sentinel) Error() string { return s.text }

func (s *sentinel) Unwrap() error { return s.std }

// Error is the type of every error that this package returns.
type Error struct {
	// Op is what was asked for: "open", "snapshot", "restore", …
	Op string
	// Path is the store's directory, the pool's file, or the tree.
	Path string
	// Volume and Snapshot are the names concerned, or empty.
	Volume, Snapshot string
	// Err is the cause. It matches one of the sentinels of this package where
	// the cause is known, and otherwise wraps what the system said.
	Err error
	// Hint says what to do next, or is empty.
	Hint string
}

// Error says what failed, on what, and why.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "snapshot: %s", e.Op)
	switch {
	case e.Volume != "" && e.Snapshot != "":
		fmt.Fprintf(&b, " %s/%s", e.Volume, e.Snapshot)
	case e.Volume != "":
		fmt.Fprintf(&b, " %s", e.Volume)
	}
	if e.Path != "" {
		fmt.Fprintf(&b, " in %s", e.Path)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// A hinted error carries its advice up to the [Error] that wraps it.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }

func (h *hinted) Unwrap() error { return h.err }

// hint adds advice to err, which must not be nil.
func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// wrap makes an Error of template e with err as its cause, classified. It returns
// nil for a nil err, and an *Error unchanged, so that it may be used at each level.
func wrap(e Error, err error) error {
	if err == nil {
		return nil
	}
	if already, ok := errors.AsType[*Error](err); ok && already == err {
		return err
	}
	e.Err = classify(err)
	if h, ok := errors.AsType[*hinted](err); ok {
		e.Hint = h.hint
	} else {
		e.Hint = advice(e.Err)
	}
	return &e
}

// classify adds the sentinel that stands for a system error.
func classify(err error) error {
	for _, c := range []struct {
		errno    unix.Errno
		sentinel error
	}{
		{unix.ENOENT, ErrNotFound},
		{unix.EEXIST, ErrExists},
		{unix.ENOTEMPTY, ErrExists},
		{unix.EBUSY, ErrBusy},
		{unix.ETXTBSY, ErrBusy},
		{unix.ENOSPC, ErrNoSpace},
		{unix.EDQUOT, ErrNoSpace},
		{unix.EROFS, ErrReadOnly},
		{unix.ENOTTY, ErrNotSupported},
		{unix.EOPNOTSUPP, ErrNotSupported},
		{unix.ENAMETOOLONG, ErrInvalid},
	} {
		if errors.Is(err, c.errno) && !errors.Is(err, c.sentinel) {
			return &classified{err, c.sentinel}
		}
	}
	return err
}

// A classified error reads as its cause and matches its sentinel too.
type classified struct{ err, sentinel error }

func (c *classified) Error() string { return c.err.Error() }

func (c *classified) Unwrap() []error { return []error{c.err, c.sentinel} }

// advice is what a person does about an error of some kinds.
func advice(err error) string {
	switch {
	case errors.Is(err, ErrNoSpace):
		return "delete snapshots or grow the file system; btrfs gives space back some seconds after a deletion"
	case errors.Is(err, ErrReadOnly):
		return "mount it read-write; the kernel log says why if it was not asked for"
	case errors.Is(err, ErrLocked):
		return "wait for that program or end it; the lock of one that died is free"
	case errors.Is(err, ErrFormat):
		return "use a newer version of this program"
	case errors.Is(err, fs.ErrPermission):
		return "run as root"
	case errors.Is(err, context.DeadlineExceeded):
		return "the deadline of the context passed"
	}
	return ""
}
