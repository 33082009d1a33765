package stage

import (
	"fmt"
	"slices"

	"github.com/prologin/rig/internal/nearest"
)

// Steering narrows a run or makes it go back. Stages are named "machine/stage", or
// by their own name where only one machine has it. The zero value runs whatever is
// not cached. What contradicts itself, such as to go back to a stage that is left out, is
// an error that matches [ErrInvalid].
type Steering struct {
	// From goes back to just before this stage and runs it and all that come after
	// it or need it, cached or not.
	From string

	// Rerun is From for several stages.
	Rerun []string

	// Until ends the run when this stage is complete. Only the stages that it
	// depends on run, and its machine is left as it is after it, going back if it
	// was further.
	Until string

	// Only names the machines whose stages are wanted, with whatever they need.
	Only []string

	// Skip leaves stages out, as if their Skip field were set.
	Skip []string

	// Restore restores every tree, also one that is known to be as it should.
	Restore bool

	// Offline leaves machines alone that have nothing to run: they are neither
	// started nor checked again.
	Offline bool
}

// steered is a Steering whose names have been found.
type steered struct {
	wanted map[int]bool
	forced map[int]string // with the stage that is to blame
	skip   map[int]string // with the reason
}

// Check reports a stage or machine in s that the plan does not have, naming the
// nearest one. It looks at nothing but the plan.
func (l *Lab) Check(s Steering) error {
	_, err := l.steer(s)
	return err
}

func (l *Lab) steer(s Steering) (steered, error) {
	out := steered{wanted: map[int]bool{}, forced: map[int]string{}, skip: map[int]string{}}
	for i, n := range l.graph.nodes {
		out.wanted[i] = true
		if why := l.stage(n.ref).Skip; why != "" {
			out.skip[i] = why
		}
	}
	for _, name := range s.Skip {
		i, err := l.resolve(name)
		if err != nil {
			return out, err
		}
		out.skip[i] = "asked for"
	}
	if err := l.narrow(s, &out); err != nil {
		return out, err
	}
	rerun := s.Rerun
	if s.From != "" {
		rerun = append([]string{s.From}, rerun...)
	}
	for _, name := range rerun {
		i, err := l.resolve(name)
		if err != nil {
			return out, err
		}
		if !out.wanted[i] {
			return out, notWanted(name)
		}
		if err := out.left(name, i); err != nil {
			return out, err
		}
		for j := range l.graph.descendants(i) {
			if _, ok := out.forced[j]; !ok || i == j {
				out.forced[j] = l.graph.nodes[i].ref.String()
			}
		}
	}
	return out, nil
}

func notWanted(name string) error {
	return fmt.Errorf("stage %q: %w: it is not among the stages wanted", name, ErrInvalid)
}

// left is the error of naming a stage that is left out.
func (s *steered) left(name string, node int) error {
	if why, ok := s.skip[node]; ok {
		return fmt.Errorf("stage %q: %w: it is left out (%s)", name, ErrInvalid, why)
	}
	return nil
}

// narrow applies Only and Until.
func (l *Lab) narrow(s Steering, out *steered) error {
	var machines []string
	for _, setup := range l.plan.Setups {
		machines = append(machines, setup.Machine)
	}
	for _, name := range s.Only {
		if !slices.Contains(machines, name) {
			return fmt.Errorf("machine %q: %w%s", name, ErrNotFound, nearest.Hint(name, machines))
		}
	}
	if len(s.Only) > 0 {
		var last []int
		for i, n := range l.graph.nodes {
			if slices.Contains(s.Only, n.ref.machine) {
				last = append(last, i)
			}
		}
		out.wanted = l.graph.ancestors(last...)
	}
	if s.Until == "" {
		return nil
	}
	i, err := l.resolve(s.Until)
	if err != nil {
		return err
	}
	if !out.wanted[i] {
		return notWanted(s.Until)
	}
	out.wanted = l.graph.ancestors(i)
	return out.left(s.Until, i)
}

// stage returns the stage that r names, which must exist.
func (l *Lab) stage(r ref) *Stage {
	s := l.setup(r.machine)
	i := slices.IndexFunc(s.Stages, func(st Stage) bool { return st.Name == r.stage })
	return &s.Stages[i]
}
