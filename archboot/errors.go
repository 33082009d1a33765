package archboot

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// What went wrong, for errors.Is. A missing root is [fs.ErrNotExist] and a lack
// of privileges [fs.ErrPermission].
var (
	// ErrInvalid says that a Config or an Identity cannot be used. The message
	// lists every fault.
	ErrInvalid = errors.New("invalid configuration")
	// ErrBadRoot says that a directory cannot become a root: it is no
	// directory, it is the host's own root, or its file system lacks owners,
	// symlinks, or is mounted noexec, nosuid or nodev.
	ErrBadRoot = errors.New("directory cannot hold a root")
	// ErrNotEmpty says that the root has something in it already.
	ErrNotEmpty = errors.New("root is not empty")
	// ErrBusy says that another process works on the same root.
	ErrBusy = errors.New("root is in use by another process")
	// ErrIncomplete says that the bootstrap of a root was interrupted.
	// Bootstrap starts again on such a root.
	ErrIncomplete = errors.New("root is incomplete")
	// ErrMissingProgram says that the host lacks a program. The message names
	// the packages that hold it.
	ErrMissingProgram = errors.New("missing program")
	// ErrMirror says that no server delivered a file: unreachable, too slow, or
	// without that file.
	ErrMirror = errors.New("mirror failed")
	// ErrCorrupt says that a file arrived truncated or damaged.
	ErrCorrupt = errors.New("damaged download")
	// ErrSignature says that a signature is missing, wrong, or by a key that is
	// not trusted.
	ErrSignature = errors.New("signature not accepted")
	// ErrHostile says that an archive tries to write outside the root, or holds
	// what no system's archive holds.
	ErrHostile = errors.New("hostile archive")
	// ErrUnknownPackage says that no repository has a package. The message
	// names all of them.
	ErrUnknownPackage = errors.New("unknown package")
	// ErrConflict says that packages exclude each other or hold the same file.
	ErrConflict = errors.New("conflicting packages")
	// ErrNoSpace says that the disk is full.
	ErrNoSpace = errors.New("no space left")
	// ErrNotFound says that the packages bring nothing that the Config names: a locale, a
	// time zone, a keymap or a unit. The message names those that are spelt alike.
	ErrNotFound = errors.New("not found")
)

// An Error tells what failed on which root.
type Error struct {
	Op     string   // what was being done, such as "install packages"
	Root   string   // the root, empty where none is involved
	Err    error    // the cause; one of the sentinels is in its chain where the cause is known
	Output []string // the last lines that a failed program printed
}

// Error says what failed, on what, and why.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("archboot: " + e.Op)
	if e.Root != "" {
		b.WriteString(" in " + e.Root)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	for _, line := range e.Output {
		b.WriteString("\n\t" + line)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// wrap gives err the operation and the root, and passes nil and errors that
// have them already through.
func wrap(op, root string, err error) error {
	var have *Error
	if err == nil || errors.As(err, &have) {
		return err
	}
	if (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)) && !errors.Is(err, ErrNoSpace) {
		err = fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return &Error{Op: op, Root: root, Err: err}
}

// missing is fs.ErrNotExist for callers who think in files and ErrNotFound for
// those who think in roots.
func missing(kind, name string, near []string) error {
	err := fmt.Errorf("%w: %s %q", ErrNotFound, kind, name)
	if len(near) > 0 {
		err = fmt.Errorf("%w; near it: %s", err, strings.Join(near, ", "))
	}
	return &alsoMissing{err}
}

type alsoMissing struct{ error }

func (e *alsoMissing) Unwrap() []error { return []error{e.error, fs.ErrNotExist} }
