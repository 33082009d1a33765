package stage

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prologin/rig/internal/nearest"
	"github.com/prologin/rig/stage/internal/name"
)

// Validate returns every fault of the plan at once, or nil. Each fault matches
// [ErrInvalid]. It looks at nothing but the plan.
func (p Plan) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w plan: "+format, append([]any{ErrInvalid}, args...)...))
	}
	if err := name.Check(p.Name); err != nil {
		fault("lab %q: %v", p.Name, err)
	}
	if len(p.Setups) == 0 {
		fault("no machines")
	}
	machines := map[string]bool{}
	for _, s := range p.Setups {
		if err := name.Check(s.Machine); err != nil {
			fault("machine %q: %v", s.Machine, err)
		}
		if machines[s.Machine] {
			fault("machine %q appears twice", s.Machine)
		}
		machines[s.Machine] = true
		s.validate(fault)
	}
	p.validateNeeds(fault)
	return errors.Join(faults...)
}

func (s Setup) validate(fault func(string, ...any)) {
	seen := map[string]bool{}
	for _, st := range s.Stages {
		if err := name.Check(st.Name); err != nil {
			fault("stage %s/%q: %v", s.Machine, st.Name, err)
		}
		if seen[st.Name] {
			fault("stage %s/%s appears twice", s.Machine, st.Name)
		}
		seen[st.Name] = true
		if st.Timeout < 0 || st.CheckTimeout < 0 {
			fault("stage %s/%s: negative time-out", s.Machine, st.Name)
		}
		part := func(kind string, i int, v any) {
			if err := validatePart(v); err != nil {
				fault("stage %s/%s: %s %d: %w", s.Machine, st.Name, kind, i+1, err)
			}
		}
		for i, step := range st.Steps {
			part("step", i, step)
		}
		for i, check := range st.Checks {
			part("check", i, check)
		}
		for i, in := range st.Inputs {
			part("input", i, in)
		}
	}
}

// validatePart asks a step, check or input whether its fields make sense, if it can tell.
func validatePart(v any) error {
	if v == nil {
		return errors.New("it is nil")
	}
	if v, ok := v.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

func (p Plan) validateNeeds(fault func(string, ...any)) {
	known := p.refs()
	for _, s := range p.Setups {
		for _, st := range s.Stages {
			for _, need := range st.Needs {
				r, ok := parseRef(need)
				switch {
				case !ok:
					fault("stage %s/%s: need %q is not MACHINE/STAGE", s.Machine, st.Name, need)
				case r.machine == s.Machine:
					fault("stage %s/%s: need %q is of the same machine, where order decides", s.Machine, st.Name, need)
				case !slices.Contains(known, need):
					fault("stage %s/%s: need %q is unknown%s", s.Machine, st.Name, need, nearest.Hint(need, known))
				}
			}
		}
	}
	if path := newGraph(p).cycle(); path != nil {
		fault("stages wait for each other: %s", strings.Join(path, " → "))
	}
}

// refs returns every stage as "machine/stage", in the plan's order.
func (p Plan) refs() []string {
	var refs []string
	for _, s := range p.Setups {
		for _, st := range s.Stages {
			refs = append(refs, ref{s.Machine, st.Name}.String())
		}
	}
	return refs
}
