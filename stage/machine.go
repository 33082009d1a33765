package stage

import (
	"context"
	"io"
)

// Machine is what a run needs of a machine. Exec may be called at any time, also
// concurrently, since stages of other machines may reach this one; of the other methods
// one is called at a time.
type Machine interface {
	// Start boots the machine from its volume's tree and returns when commands can be
	// run in it. The machine outlives ctx, which ends only the wait. One that failed to
	// start may run all the same; it is stopped or killed before it is started again.
	Start(ctx context.Context) error

	// Stop powers the machine off and returns when nothing of it runs any more. It
	// returns nil if the machine is not running.
	Stop(ctx context.Context) error

	// Running reports whether the machine is up.
	Running(ctx context.Context) (bool, error)

	// Exec runs one command in the machine and waits for it. The end of ctx kills the
	// command with all its children. The error of a command that ran and failed has
	// a method ExitCode() int, as *[os/exec.ExitError] has.
	Exec(ctx context.Context, c Command) error
}

// Command is one command to run in a machine, in the manner of [os/exec.Cmd].
type Command struct {
	// Args holds the program and its arguments.
	Args []string

	// Env is added to the machine's own environment, as "NAME=value".
	Env []string

	// Dir is the working directory. Empty means the machine's choice.
	Dir string

	// Stdin is empty if nil; Stdout and Stderr are thrown away if nil. As with
	// exec.Cmd, the command may not count as ended while a Read of Stdin is blocked.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Freezer is a [Machine] whose processes can be held still. Both methods return once
// the change is complete, and are idempotent.
type Freezer interface {
	Freeze(ctx context.Context) error
	Thaw(ctx context.Context) error
}

// Killer is a [Machine] that can be ended at once. It is used before a tree is
// thrown away, where a power-off would be wasted.
type Killer interface {
	Kill(ctx context.Context) error
}
