package stage

import (
	"context"
	"fmt"
	"slices"
)

// Bind is a file or directory of the host that is seen in a machine.
type Bind struct {
	// From is the absolute path on the host, To the one in the machine.
	From, To string

	// ReadOnly forbids writing through To.
	ReadOnly bool
}

// Binder is a [Machine] in which files and directories of the host can be seen.
type Binder interface {
	// SetBinds says what is seen from the next Start on, in place of what an earlier
	// call said. What is bound is no part of the volume's tree.
	SetBinds(binds []Bind)
}

// binding is a step that makes something of the host visible in the machine. A
// machine that is started from the tree of its stage, or of a later one, gets it again.
type binding interface{ Binding() Bind }

// binds returns what the stage's own steps bind.
func (st *Stage) binds() (binds []Bind) {
	for _, step := range st.Steps {
		if b, ok := step.(binding); ok {
			binds = append(binds, b.Binding())
		}
	}
	return binds
}

// bindsAfter returns what is bound when the stage at index i is complete.
func (t *track) bindsAfter(i int) (binds []Bind) {
	for _, w := range t.work[:i+1] {
		if w.skip == "" {
			binds = addBinds(binds, w.binds())
		}
	}
	return binds
}

// addBinds has the later of two binds at one place hide the earlier.
func addBinds(binds, more []Bind) []Bind {
	for _, b := range more {
		binds = slices.DeleteFunc(binds, func(old Bind) bool { return old.To == b.To })
		binds = append(binds, b)
	}
	return binds
}

// bind is what a step gets as its Bind. All that the stage binds comes at once, so that
// the machine is started again only once.
func (m *machine) bind(ctx context.Context, w *work, b Bind) error {
	if slices.Contains(m.binds, b) {
		return nil
	}
	if !slices.Contains(w.binds(), b) {
		return fmt.Errorf("bind %s: %w: the step has no method Binding that returns it", b.To, ErrInvalid)
	}
	m.binds = addBinds(m.binds, w.binds())
	return m.reboot(ctx)
}

// checkBinds makes sure that the machine can do what the setup's stages bind.
func (s *Setup) checkBinds(m Machine) error {
	if _, ok := m.(Binder); ok {
		return nil
	}
	for _, st := range s.Stages {
		if st.Skip == "" && len(st.binds()) > 0 {
			return fmt.Errorf("%w options: stage %s/%s binds, and the machine is no Binder: %w", ErrInvalid, s.Machine, st.Name, ErrNotSupported)
		}
	}
	return nil
}
