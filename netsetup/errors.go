package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
)

// What went wrong, for errors.Is.
var (
	// ErrInvalid: the Network cannot be right on any host.
	ErrInvalid = errors.New("invalid")
	// ErrExists: something of that name exists and is not ours. It is
	// fs.ErrExist, too.
	ErrExists = fmt.Errorf("not ours: %w", fs.ErrExist)
	// ErrOverlap: the host reaches the same addresses in another way.
	ErrOverlap = errors.New("addresses overlap")
	// ErrBusy: another program holds the network, or the rules' lock.
	ErrBusy = errors.New("busy")
	// ErrDrift: what the kernel has is no longer what was applied.
	ErrDrift = errors.New("not as applied")
	// ErrNoUplink: the host has no uplink, or none of that name.
	ErrNoUplink = errors.New("no uplink")
	// ErrConsent: what is dangerous is not done without Bridged.Consent.
	ErrConsent = errors.New("consent is needed")
	// ErrNotSupported: this host cannot do it; the text says why.
	ErrNotSupported = errors.New("not supported")
)

// Error is what every function of this package returns. Err holds one of the
// sentinels above, a *ConflictError, *MissingError, *DriftError or *BusyError,
// the kernel's own errno, or a context's error.
type Error struct {
	Op      string // "apply", "remove", …
	Network string // the bridge, if it is about one
	Object  string // what was being made or unmade, if anything
	Err     error
}

// Error says what failed, on what, and why.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("netsetup: " + e.Op)
	if e.Network != "" {
		b.WriteString(" " + e.Network)
	}
	if e.Object != "" {
		b.WriteString(": " + e.Object)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// fail wraps err, or returns nil for nil. An *Error passes as it is.
func fail(op, network string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, Network: network, Err: err}
}

// ConflictError says who already has what the network asks for. It is
// ErrExists for a name and ErrOverlap for addresses.
type ConflictError struct {
	Want string // "bridge vz-prolo", "10.0.0.0/24"
	With string // "interface eth1 with 10.0.0.7/8", "Docker's bridge docker0 …"
	Err  error
}

// Error names what was wanted and who has it.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: taken by %s (%v)", e.Want, e.With, e.Err)
}

// Unwrap returns ErrExists or ErrOverlap.
func (e *ConflictError) Unwrap() error { return e.Err }

// MissingError names a program that the host lacks, and where it is to be had.
// It is exec.ErrNotFound.
type MissingError struct {
	Program string
	Debian  string // the package in Debian
	Arch    string // the package in Arch Linux
}

// Error names the program and the packages that have it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed: it is in the package %s (Debian) or %s (Arch Linux)", e.Program, e.Debian, e.Arch)
}

// Unwrap returns exec.ErrNotFound.
func (e *MissingError) Unwrap() error { return exec.ErrNotFound }

// DriftError lists the changes that would make a network what it was applied
// as. It is ErrDrift.
type DriftError struct {
	Changes Changes
}

// Error lists the differences.
func (e *DriftError) Error() string {
	s := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		s[i] = c.fault()
	}
	return ErrDrift.Error() + ": " + strings.Join(s, "; ")
}

// Unwrap returns ErrDrift.
func (e *DriftError) Unwrap() error { return ErrDrift }

// BusyError names the processes that hold a network. It is ErrBusy.
type BusyError struct {
	PIDs []int // empty if they could not be found out
}

// Error names the processes, where they are known.
func (e *BusyError) Error() string {
	if len(e.PIDs) == 0 {
		return "in use by another program"
	}
	return fmt.Sprintf("in use by process %s", strings.Trim(fmt.Sprint(e.PIDs), "[]"))
}

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }
