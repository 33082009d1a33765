package step

import (
	"context"

	"github.com/prologin/rig/stage"
)

// Func calls a function of the program, for what no other step does. What the
// function does is not seen, only its name, its version and what it declares.
type Func struct {
	// Name and Version identify what the function does. A new version makes the
	// stage run again.
	Name, Version string

	// Inputs are the values that its result depends on.
	Inputs map[string]string

	// Text is what a person would type instead, for the printed plan.
	Text string

	// Do is the function. It must return soon after ctx ends.
	Do func(ctx context.Context, s *stage.Session) error
}

// String returns the name.
func (f Func) String() string { return f.Name }

// Validate returns an error that matches [stage.ErrInvalid] if a field is missing.
func (f Func) Validate() error {
	if f.Name == "" || f.Version == "" {
		return invalid("a function needs a name and a version")
	}
	if f.Do == nil {
		return invalid("function %s: Do is nil", f.Name)
	}
	return nil
}

// Manual returns Text, or a remark if there is none.
func (f Func) Manual(string) []stage.Line {
	if f.Text == "" {
		return typed("# %s (done by the program)", f.Name)
	}
	return typed("%s", f.Text)
}

// Ingredients adds the name, the version and the inputs.
func (f Func) Ingredients(r *stage.Recipe) {
	r.Text("function", f.Name)
	r.Text("version", f.Version)
	for name, value := range sorted(f.Inputs) {
		r.Text("input "+name, value)
	}
}

// Run calls the function.
func (f Func) Run(ctx context.Context, s *stage.Session) error { return f.Do(ctx, s) }
