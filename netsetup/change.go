package netsetup

import (
	"fmt"
	"strings"
)

// Object is one thing that a network consists of on a host: a bridge, an address, a
// chain, a rule, … It exists or it does not; there is nothing between.
type Object interface {
	// String names the object; no two objects of a network have one name.
	fmt.Stringer

	// lines are the commands that a person would type to make and unmake it.
	lines(unmake bool) []string
	// present reports whether v shows it.
	present(v *view) (bool, error)
	// create makes what is not present.
	create(k *kernel) error
	// destroy unmakes it, and is content if it is gone already.
	destroy(k *kernel) error
}

// shared is an object that is the host's rather than one network's: the first
// network that needs it makes it, and the last unmakes it, unless the host had
// it already.
type shared interface {
	Object
	// remember returns the object with what the host has now.
	remember() (Object, error)
}

// Action is what a Change does with its Object.
type Action string

// The two actions.
const (
	Add    Action = "add"
	Delete Action = "delete"
)

// Change is one step of what Apply or Remove would do.
type Change struct {
	Action Action
	Object Object
}

// String returns the commands that a person would type instead, one a line.
func (c Change) String() string {
	return strings.Join(c.Object.lines(c.Action == Delete), "\n")
}

// fault says what is wrong with the host as long as c is not made.
func (c Change) fault() string {
	if c.Action == Delete {
		return c.Object.String() + " should not be there"
	}
	return c.Object.String() + " is missing"
}

func (c Change) do(k *kernel) error {
	if c.Action == Delete {
		return c.Object.destroy(k)
	}
	return c.Object.create(k)
}

// reverse is the change that undoes c.
func (c Change) reverse() Change {
	if c.Action == Delete {
		return Change{Add, c.Object}
	}
	return Change{Delete, c.Object}
}

// Changes is a list of changes in the order in which they are made.
type Changes []Change

// String returns a shell script that does the same by hand.
func (cs Changes) String() string {
	var b strings.Builder
	for _, c := range cs {
		for _, line := range c.Object.lines(c.Action == Delete) {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
