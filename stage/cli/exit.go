package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prologin/rig/internal/nearest"
	"github.com/prologin/rig/stage"
)

// Exit statuses.
const (
	// Done says that everything asked for is as it should be.
	Done = 0
	// Failed says that a step or check failed.
	Failed = 1
	// Misused says that the command line is wrong. Nothing was touched.
	Misused = 2
	// Unable says that this host cannot do it, or not yet. No stage was tried.
	Unable = 3
	// Interrupted says that Ctrl-C or a signal ended it.
	Interrupted = 130
)

// statusError is an error that decides the exit status.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error   { return e.error }
func (e *statusError) ExitStatus() int { return e.status }

// Usage makes an error one of the command line, for exit status [Misused]. It
// returns nil for nil.
func Usage(err error) error { return withStatus(err, Misused) }

// Host makes an error one of the host, for exit status [Unable]. It returns nil for
// nil.
func Host(err error) error { return withStatus(err, Unable) }

func withStatus(err error, status int) error {
	if err == nil {
		return nil
	}
	return &statusError{err, status}
}

// Status returns the exit status for an error: what its method ExitStatus says, if
// it has one or wraps one that has, else [Failed], and [Done] for nil.
func Status(err error) int {
	if err == nil {
		return Done
	}
	var s interface{ ExitStatus() int }
	if errors.As(err, &s) {
		return s.ExitStatus()
	}
	return Failed
}

// besides returns what is joined in an error and does not come of an interruption, such as
// what could not be tidied up.
func besides(err error) (rest []error) {
	if errors.Is(err, context.Canceled) {
		list, ok := err.(interface{ Unwrap() []error })
		if !ok {
			return nil
		}
		var texts []string
		for _, e := range list.Unwrap() {
			rest, texts = append(rest, besides(e)...), append(texts, e.Error())
		}
		if strings.Join(texts, "\n") != err.Error() { // one error that has several causes
			return nil
		}
		return rest
	}
	if errors.Is(err, stage.ErrBlocked) {
		return nil
	}
	return []error{err}
}

// OneOf returns an error that names the nearest choice unless the value of a flag is
// one of those given. An empty value leaves the choice to the program.
func OneOf(flag, value string, choices ...string) error {
	if value == "" {
		return nil
	}
	for _, c := range choices {
		if c == value {
			return nil
		}
	}
	return fmt.Errorf("-%s %q is none of %s%s", flag, value, strings.Join(choices, ", "), nearest.Hint(value, choices))
}
