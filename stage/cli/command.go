package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/stage"
)

// Command is one call of a [Program].
type Command struct {
	Flags

	// Out is for what was asked for, Messages for everything else. In is the
	// process's standard input.
	Out, Messages, In *os.File

	// Verify, if set, is called when a run has succeeded and before that is said. Its error
	// is the run's.
	Verify func(context.Context) error

	program *Program
	plan    stage.Plan
	given   []string // flags for the lines that tell how to go on,
	goal    []string // and those that say how far
	output  *output
	diffs   map[string]*stage.Difference
}

// Say prints a message unless -q was given.
func (c *Command) Say(format string, args ...any) {
	if !c.Quiet {
		c.closeView()
		fmt.Fprintf(c.Messages, format+"\n", args...)
	}
}

// ShellMachine returns the machine that -shell is for: that of the stage of -until, else the
// program's own, else the only one of -only, or of the plan. Exec refuses a -shell for which
// there is none, for which it is "".
func (c *Command) ShellMachine() string { return c.shellMachine(c.plan, c.program.Machine) }

// Options returns options for [stage.Open] with what the flags decide: where events
// go, what happens on failure, and the lines that tell how to go on.
func (c *Command) Options(o stage.Options) stage.Options {
	o.Events = c.event
	o.OnFailure = c.policy()
	if shell := o.Shell; shell != nil {
		o.Shell = func(ctx context.Context, machine string) error {
			defer c.pauseView()()
			return shell(ctx, machine)
		}
	}
	o.Hint = c.hint
	return o
}

// KeepFailed reports whether a machine whose stage failed is to be left running.
func (c *Command) KeepFailed() bool { return c.policy() == stage.PolicyKeep }

func (c *Command) hint(machine, stageName string) (resume, shell string) {
	shell = strings.Join(append([]string{c.program.Name}, c.given...), " ")
	resume = strings.Join(append([]string{shell}, c.goal...), " ")
	if stageName != "" {
		if machine != c.program.Machine {
			stageName = machine + "/" + stageName
		}
		shell += " -until " + stageName
	}
	return resume, shell + " -shell"
}

func (c *Command) writePlan(ctx context.Context, w io.Writer) error {
	if c.program.Manual != nil {
		if err := c.program.Manual(w); err != nil {
			return err
		}
	}
	if c.program.Records == nil {
		return c.plan.WriteManual(w)
	}
	o := c.program.Records()
	if _, err := os.Stat(o.StateDir); err != nil {
		return c.plan.WriteManual(w) // nothing ran yet
	}
	var text strings.Builder
	lab, err := stage.Open(c.plan, o)
	if err == nil {
		err = lab.WritePlan(ctx, &text, c.Steering())
	}
	if err != nil {
		// Of use without it as well: not everyone may read a secret or a checkout.
		fmt.Fprintf(c.Messages, "what is cached is not known: %v\n", err)
		return c.plan.WriteManual(w)
	}
	_, err = io.WriteString(w, text.String())
	return err
}

// Do does with the lab what the flags ask for: a run, or something else. The terminal is
// free when it returns.
func (c *Command) Do(ctx context.Context, lab *stage.Lab) error {
	defer c.closeView()
	switch {
	case c.Rollback != "":
		result, err := lab.Rollback(ctx, c.Rollback)
		if err == nil {
			c.Say("rolled back: %s", orNone(result.Restored))
		}
		return err
	case c.Restore != "":
		return c.known(lab, c.Restore, lab.RestoreCheckpoint(ctx, c.Restore))
	case c.Checkpoints:
		return c.checkpoints(lab)
	case c.RemoveCheckpoint != "":
		err := lab.RemoveCheckpoint(ctx, c.RemoveCheckpoint)
		if err == nil {
			c.Say("checkpoint %s is removed", c.RemoveCheckpoint)
		}
		return c.known(lab, c.RemoveCheckpoint, err)
	case c.Bisect != "":
		return c.bisect(ctx, lab)
	case c.Explain != "":
		return c.explain(ctx, lab)
	case c.Diff != "":
		return c.diff(ctx, lab)
	}
	if err := c.free(lab); err != nil {
		return err
	}
	if err := c.run(ctx, lab); err != nil || c.Checkpoint == "" {
		return err
	}
	point, err := lab.Checkpoint(ctx, c.Checkpoint)
	if err == nil {
		c.Say("checkpoint %s: %d machines; -restore %s goes back to it", point.Name, len(point.Trees), point.Name)
	}
	return err
}

// free reports, before all that comes before it, that the checkpoint to make is there already.
func (c *Command) free(lab *stage.Lab) error {
	if c.Checkpoint == "" {
		return nil
	}
	points, err := lab.Checkpoints()
	if err != nil {
		return err
	}
	for _, p := range points {
		if p.Name == c.Checkpoint {
			return fmt.Errorf("-checkpoint %s: %w, of %s: choose another name, or -remove-checkpoint %[1]s", p.Name, fs.ErrExist, p.Time.Format(time.DateTime))
		}
	}
	return nil
}

func (c *Command) checkpoints(lab *stage.Lab) error {
	points, err := lab.Checkpoints()
	for _, p := range points {
		fmt.Fprintf(c.Out, "%s  %s  %s\n", p.Time.Format(time.DateTime), p.Name, strings.Join(slices.Sorted(maps.Keys(p.Trees)), ", "))
	}
	if err == nil && points == nil {
		c.Say("there are none yet: -checkpoint NAME makes one")
	}
	return err
}

// known adds to an error that says that there is no checkpoint of a name which there are.
func (c *Command) known(lab *stage.Lab, name string, err error) error {
	if !errors.Is(err, stage.ErrNotFound) {
		return err
	}
	points, listErr := lab.Checkpoints()
	if listErr != nil {
		return err
	}
	var names []string
	for _, p := range points {
		if names = append(names, p.Name); p.Name == name {
			return err // it is a snapshot of it that is missing
		}
	}
	if names == nil {
		return fmt.Errorf("%w; there are none yet: -checkpoint NAME makes one", err)
	}
	return fmt.Errorf("%w; there are %s", err, strings.Join(names, ", "))
}

func (c *Command) run(ctx context.Context, lab *stage.Lab) error {
	result, err := lab.Run(ctx, c.Steering())
	if c.Report != "" && result != nil {
		c.collectDiffs(ctx, lab, result.Ran)
	}
	if err == nil && c.Verify != nil {
		err = c.Verify(ctx)
	}
	if err != nil {
		return err
	}
	c.Say("%s is as it should be: %d stages run, %d as they were", c.subject(), len(result.Ran), len(result.Cached))
	return nil
}

func (c *Command) subject() string {
	if c.program.Machine != "" {
		return c.program.Machine
	}
	return c.plan.Name
}

func (c *Command) bisect(ctx context.Context, lab *stage.Lab) error {
	machine, check := c.bisection(c.program.Machine)
	found, err := lab.Bisect(ctx, machine, check)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "%s: %s is the first stage after which this does not hold: %v\n", machine, found, check)
	return nil
}

func (c *Command) explain(ctx context.Context, lab *stage.Lab) error {
	changes, err := lab.Explain(ctx, c.Explain)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		fmt.Fprintf(c.Out, "%s: nothing changed since it was last completed\n", c.Explain)
	}
	for _, change := range changes {
		fmt.Fprintln(c.Out, change)
	}
	return nil
}

func (c *Command) diff(ctx context.Context, lab *stage.Lab) error {
	changes, err := lab.Diff(ctx, c.Diff)
	if err != nil {
		return err
	}
	if summary := changes.Summary(); summary != "" {
		fmt.Fprintln(c.Out, summary)
	}
	for _, change := range changes.Files {
		fmt.Fprintf(c.Out, "%-8s  %s\n", change.Kind, change.Path)
	}
	return nil
}

// collectDiffs finds out for the report what stages changed. One that cannot be
// compared is left out.
func (c *Command) collectDiffs(ctx context.Context, lab *stage.Lab, stages []string) {
	c.diffs = map[string]*stage.Difference{}
	for _, name := range stages {
		changes, err := lab.Diff(ctx, name)
		if err == nil {
			c.diffs[name] = changes
		} else if !errors.Is(err, stage.ErrNotFound) {
			fmt.Fprintf(c.Lines(), "report: what %s changed: %v\n", name, err)
		}
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nothing had to be"
	}
	return strings.Join(names, ", ")
}
