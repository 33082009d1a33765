package labcli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
)

func TestWithAlive(t *testing.T) {
	t.Parallel()
	active := func(names ...string) (checks []stage.Check) {
		for _, name := range names {
			checks = append(checks, check.UnitActive{Name: name})
		}
		return checks
	}
	stages := []stage.Stage{
		{Name: "one", Checks: active("a.service", "b.service")},
		{Name: "none"},
		{Name: "skipped", Checks: active("s.service"), Skip: "why not"},
		{Name: "two", Checks: active("c.service")},
		{Name: "last"},
	}
	var got []string
	plan := stage.Plan{Setups: []stage.Setup{{Machine: "one", Stages: stages}}}
	for _, s := range withAlive(plan).Setups[0].Stages {
		if n := len(s.Checks); n > 0 {
			if a, ok := s.Checks[n-1].(alive); ok {
				got = append(got, fmt.Sprint(s.Name, a.units))
			}
		}
	}
	const want = "none[{a.service one} {b.service one}] two[{a.service one} {b.service one}] last[{a.service one} {b.service one} {c.service two}]"
	if strings.Join(got, " ") != want {
		t.Errorf("looked after are\n%s\nnot\n%s", strings.Join(got, " "), want)
	}
	if len(stages[3].Checks) != 1 {
		t.Error("the caller's stages were changed")
	}
}

// TestLook has each state that systemd may tell of a unit. Nothing but a real machine, as in
// the walks, shows how it gets into them.
func TestLook(t *testing.T) {
	t.Parallel()
	const printed = "ActiveState=active\nJob=0\n\nJob=0\nActiveState=failed\n\nActiveState=inactive\nJob=71\n\nActiveState=activating\n\nActiveState=inactive\n"
	var units []unit
	for _, name := range []string{"up", "failed", "restarting", "coming", "gone"} {
		units = append(units, unit{name, "start_" + name})
	}
	exec := func(_ context.Context, c stage.Command) error {
		_, err := c.Stdout.Write([]byte(printed))
		return err
	}
	dead, others, err := look(t.Context(), exec, units)
	if err != nil {
		t.Fatal(err)
	}
	const wantDead = "failed, which was active after stage start_failed, is failed\ngone, which was active after stage start_gone, is inactive"
	if fmt.Sprint(dead) != wantDead {
		t.Errorf("dead: %v", dead)
	}
	const wantOthers = "restarting, which was active after stage start_restarting, is inactive\ncoming, which was active after stage start_coming, is activating"
	if fmt.Sprint(others) != wantOthers {
		t.Errorf("others: %v", others)
	}
	if !errors.Is(&deadError{dead}, stage.ErrInvalid) {
		t.Error("a dead unit would be looked at again and again")
	}
	if _, _, err := look(t.Context(), exec, units[1:]); err == nil {
		t.Error("five answers to four questions are taken")
	}
}
