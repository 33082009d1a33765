package stage

import "context"

// Step is one action of a stage. Package step has those that are usually needed.
// A step is a value: it holds what to do and no state.
type Step interface {
	// String is one line for people, such as "systemctl restart nginx".
	String() string

	// Manual returns what a person would type to do the same in the named machine.
	Manual(machine string) []Line

	// Ingredients adds to the recipe everything that decides the step's result.
	Ingredients(r *Recipe)

	// Run does it. It must return soon after ctx ends.
	Run(ctx context.Context, s *Session) error
}

// Check is a condition that must hold when a stage's steps are done. Package check
// has those that are usually needed.
type Check interface {
	// String states the condition, such as "nginx.service is active".
	String() string

	// Manual returns what a person would type to see whether it holds, or nothing if
	// the manual way does without it.
	Manual(machine string) []Line

	// Probe looks once and returns nil if the condition holds. Otherwise the error's
	// text is what was seen instead. An error that matches [ErrInvalid] says that
	// looking again is of no use. It must return soon after ctx ends.
	Probe(ctx context.Context, s *Session) error
}

// Unit is a [Check] that is about a systemd unit. If it fails, the error quotes what
// the journal has of that unit.
type Unit interface {
	Unit() string
}

// Line is something a person types.
type Line struct {
	// Host is true for what is typed on the host rather than in the machine.
	Host bool

	// Text is a command. It may have several lines, as a here-document has.
	Text string
}
