package stage

import (
	"fmt"
	"os"
)

// Input is something that decides a stage's result without being named by one of
// its steps. Exactly one of File, Env, Secret and Name is set.
type Input struct {
	// File is a file or a tree of the host, by content, mode and owner.
	File string

	// Env is a variable of the program's environment. One that is not set differs
	// from one that is empty.
	Env string

	// Secret is the name of a secret, see [Options].
	Secret string

	// Name and Value are any value with a name.
	Name, Value string
}

// Validate returns an error that matches [ErrInvalid] unless exactly one kind is set.
func (in Input) Validate() error {
	n := 0
	for _, s := range []string{in.File, in.Env, in.Secret, in.Name} {
		if s != "" {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%w: one of File, Env, Secret and Name must be set, not %d", ErrInvalid, n)
	}
	if in.Value != "" && in.Name == "" {
		return fmt.Errorf("%w: Value without Name", ErrInvalid)
	}
	return nil
}

func (in Input) ingredients(r *Recipe) {
	switch {
	case in.File != "":
		r.File("file "+in.File, in.File)
	case in.Env != "":
		value, ok := os.LookupEnv(in.Env)
		if !ok {
			value = "(not set)"
		} else {
			value = "=" + value
		}
		r.Text("environment "+in.Env, value)
	case in.Secret != "":
		r.Secret("secret "+in.Secret, in.Secret)
	default:
		r.Text("value "+in.Name, in.Value)
	}
}
