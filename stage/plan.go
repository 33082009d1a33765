package stage

import (
	"strings"
	"time"
)

// Plan says which stages a lab's machines go through. It is plain data: it can be
// made, printed and compared without privileges and without any machine.
type Plan struct {
	// Name is the lab's name: letters, digits, '.', '_' and '-'.
	Name string

	// Setups has one element for each machine.
	Setups []Setup
}

// Setup is the ordered list of stages of one machine.
type Setup struct {
	// Machine is the machine's name, unique in the plan.
	Machine string

	// Base is the key of the root that the first stage starts from. A new value
	// makes every stage run again.
	Base string

	// Stages run in order, one at a time.
	Stages []Stage

	// Quiesce says how a running machine is held still while its tree is saved.
	Quiesce Quiesce
}

// Stage is a named unit of work that ends in a snapshot.
type Stage struct {
	// Name is unique within its machine: letters, digits, '.', '_' and '-'.
	Name string

	// Doc is one sentence for whoever reads the printed plan. It is no part of the key.
	Doc string

	// Steps run in order. The first that fails ends the stage.
	Steps []Step

	// Checks must all hold before the snapshot is taken. They are no part of the
	// key: a stage does not run again because a check was added.
	Checks []Check

	// Inputs decide the result without being named by a step.
	Inputs []Input

	// Needs names stages of other machines, as "machine/stage", that must be
	// complete, with their machine running, before this one starts.
	Needs []string

	// Timeout limits all the steps together. Zero means 15 minutes.
	Timeout time.Duration

	// CheckTimeout limits how long each check may take to come true. Zero means
	// 30 seconds.
	CheckTimeout time.Duration

	// Skip, if not empty, is the reason for leaving this stage out. A stage left
	// out is no part of its successors' keys.
	Skip string
}

const (
	defaultTimeout      = 15 * time.Minute
	defaultCheckTimeout = 30 * time.Second
)

// Quiesce says how a machine is held still while its tree is saved.
type Quiesce int

const (
	// QuiesceFreeze flushes the machine's files and freezes its processes for the
	// moment of the snapshot if the machine is a [Freezer]; one that is not is saved
	// while it runs. It is the default.
	QuiesceFreeze Quiesce = iota

	// QuiesceStop powers the machine off, saves the tree and starts it again.
	QuiesceStop
)

// String returns the way's name as events show it.
func (q Quiesce) String() string {
	if q == QuiesceStop {
		return "stopped"
	}
	return "frozen"
}

// manual says how for the printed plan.
func (q Quiesce) manual() string {
	if q == QuiesceStop {
		return "it is powered off and started again"
	}
	return "its files are written to disk, and it is frozen for a moment"
}

// ref names a stage of a machine.
type ref struct{ machine, stage string }

func (r ref) String() string { return r.machine + "/" + r.stage }

func parseRef(s string) (ref, bool) {
	machine, stage, ok := strings.Cut(s, "/")
	return ref{machine, stage}, ok && machine != "" && stage != ""
}
