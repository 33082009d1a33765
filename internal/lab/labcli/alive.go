package labcli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

// unit is one that a stage has checked to be active.
type unit struct{ name, stage string }

// alive is a check that holds while all units still run that were active after earlier
// stages: a service may well die after its own stage was done.
type alive struct{ units []unit }

// withAlive adds that check to each stage of a plan that has such units before it. It is no
// part of what a person would type.
func withAlive(plan stage.Plan) stage.Plan {
	plan.Setups = slices.Clone(plan.Setups)
	for i := range plan.Setups {
		plan.Setups[i].Stages = slices.Clone(plan.Setups[i].Stages)
		var units []unit
		for j := range plan.Setups[i].Stages {
			s := &plan.Setups[i].Stages[j]
			if s.Skip != "" {
				continue
			}
			own := unitsOf(*s)
			if len(units) > 0 {
				s.Checks = append(slices.Clone(s.Checks), alive{slices.Clip(units)})
			}
			units = append(units, own...)
		}
	}
	return plan
}

// unitsOf lists the units that a stage itself checks to be active.
func unitsOf(s stage.Stage) (units []unit) {
	for _, c := range s.Checks {
		if active, ok := c.(check.UnitActive); ok {
			units = append(units, unit{active.Name, s.Name})
		}
	}
	return units
}

// String states the condition.
func (a alive) String() string { return "what the stages before have started still runs" }

// Manual returns nothing.
func (a alive) Manual(string) []stage.Line { return nil }

// Probe asks systemctl. Who is dead stays so; who starts again may be waited for.
func (a alive) Probe(ctx context.Context, s *stage.Session) error {
	dead, others, err := look(ctx, s.Exec, a.units)
	if dead != nil {
		return &deadError{dead}
	}
	return errors.Join(others, err)
}

// deadError matches [stage.ErrInvalid]: to look again is of no use.
type deadError struct{ error }

func (*deadError) Is(target error) bool { return target == stage.ErrInvalid }

// look returns an error that names the units that are dead, with the stages after which they
// were active, and one that names those that are on their way to or from it.
func look(ctx context.Context, exec func(context.Context, stage.Command) error, units []unit) (dead, others, err error) {
	args := []string{"systemctl", "show", "--property=ActiveState,Job", "--"}
	for _, u := range units {
		args = append(args, u.name)
	}
	var out bytes.Buffer
	if err := exec(ctx, stage.Command{Args: args, Stdout: &out}); err != nil {
		return nil, nil, fmt.Errorf("systemctl show: %w", err)
	}
	blocks := strings.Split(strings.TrimSpace(out.String()), "\n\n")
	if len(blocks) != len(units) {
		return nil, nil, fmt.Errorf("systemctl show: it printed %d units, not %d", len(blocks), len(units))
	}
	for i, u := range units {
		state, job := property(blocks[i], "ActiveState"), property(blocks[i], "Job")
		err := fmt.Errorf("%s, which was active after stage %s, is %s", u.name, u.stage, state)
		switch {
		case state == "active" || state == "reloading" || state == "refreshing":
		case (state == "failed" || state == "inactive") && (job == "" || job == "0"):
			dead = errors.Join(dead, err)
		default:
			others = errors.Join(others, err)
		}
	}
	return dead, others, nil
}

// property returns the value of NAME=VALUE on a line of its own.
func property(block, name string) string {
	for line := range strings.Lines(block) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// survivors follows a run by its events, to look in the end whether what was active after
// any stage still is, also in machines that were done long before the others.
type survivors struct {
	mu    sync.Mutex
	done  map[string]bool // machine/stage
	alone bool            // nothing ran: the last checks were made just now
}

func newSurvivors() *survivors { return &survivors{done: map[string]bool{}, alone: true} }

func (s *survivors) event(e stage.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case stage.EventPlanned:
		if e.Text == "cached" {
			s.done[e.Machine+"/"+e.Stage] = true
		}
	case stage.EventStageEnded:
		s.done[e.Machine+"/"+e.Stage], s.alone = e.Err == "", false
	}
}

// check looks into all machines side by side.
func (s *survivors) check(ctx context.Context, plan stage.Plan, targets map[string]stage.Target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alone {
		return nil
	}
	errs := make([]error, len(plan.Setups))
	var machines sync.WaitGroup
	for i, setup := range plan.Setups {
		var units []unit
		for _, st := range setup.Stages {
			if s.done[setup.Machine+"/"+st.Name] {
				units = append(units, unitsOf(st)...)
			}
		}
		if len(units) == 0 {
			continue
		}
		machines.Go(func() {
			dead, _, err := look(ctx, targets[setup.Machine].Machine.Exec, units)
			if err = errors.Join(dead, err); err != nil {
				errs[i] = fmt.Errorf("in the end, on %s: %w; journalctl -u there says why", setup.Machine, err)
			}
		})
	}
	machines.Wait()
	return errors.Join(errs...)
}
