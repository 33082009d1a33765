package cli

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/internal/name"
)

// Flags are the flags that every program has.
type Flags struct {
	// Plan prints what a person would type, and does nothing.
	Plan bool

	// From, Until, Only and Skip are those of [stage.Steering].
	From, Until string
	Only, Skip  List

	// Rollback only makes the trees those of the moment after a stage.
	Rollback string

	// Checkpoint and Restore keep all machines under a name, and go back to it.
	Checkpoint, Restore string

	// Checkpoints lists what Checkpoint kept, RemoveCheckpoint removes one of them.
	Checkpoints      bool
	RemoveCheckpoint string

	// Bisect looks for the first stage after which a command fails in a machine:
	// "COMMAND", or "MACHINE: COMMAND".
	Bisect string

	// Explain and Diff say why a stage runs again, and which files it changed.
	Explain, Diff string

	// Keep leaves the machines running at the end, Shell opens a shell before it.
	Keep, Shell bool

	// OnFailure is "stop", "keep", "shell" or "rollback"; empty means "stop".
	OnFailure string

	// Report, JUnit, JSON and Trace are files to write, "-" being standard output.
	Report, JUnit, JSON, Trace string

	// Verbose shows what the steps print, Quiet failures only.
	Verbose, Quiet bool
}

// List is a flag of several values, separated by commas or given again.
type List []string

// String returns the values as they may be given.
func (l *List) String() string { return strings.Join(*l, ",") }

// Set adds values.
func (l *List) Set(s string) error {
	for value := range strings.SplitSeq(s, ",") {
		if value == "" {
			return errors.New("an empty name")
		}
		*l = append(*l, value)
	}
	return nil
}

// policy is what OnFailure names, which validate has seen.
func (f *Flags) policy() (p stage.Policy) {
	if p.UnmarshalText([]byte(f.OnFailure)) != nil {
		return stage.PolicyStop
	}
	return p
}

// group is a part of the flags under a title of its own in the usage text.
type group struct {
	title    string
	register func(*flag.FlagSet)
}

// groups lists the flags as the usage text does.
func (f *Flags) groups() []group {
	return []group{
		{"What to run. A stage is named STAGE, or MACHINE/STAGE where several machines have one of that name.", f.registerSteering},
		{"What becomes of the machines", f.registerEnd},
		{"What to see", f.registerOutput},
	}
}

func (f *Flags) registerSteering(fs *flag.FlagSet) {
	fs.BoolVar(&f.Plan, "plan", false, "print what a person would type to do the same, and do nothing; needs no root")
	fs.StringVar(&f.From, "from", "", "go back to just before this `stage` and run it and all after it again")
	fs.StringVar(&f.Until, "until", "", "stop after this `stage`")
	fs.Var(&f.Only, "only", "run the stages of these `machines`, and those that they need")
	fs.Var(&f.Skip, "skip", "leave these `stages` out")
	fs.StringVar(&f.Rollback, "rollback", "", "make all trees those of the moment after this `stage`, and run nothing")
	fs.StringVar(&f.Checkpoint, "checkpoint", "", "afterwards keep the state of all machines at one moment under this `name`")
	fs.StringVar(&f.Restore, "restore", "", "make all machines those of the checkpoint of this `name`, and run nothing")
	fs.BoolVar(&f.Checkpoints, "checkpoints", false, "list the checkpoints, and run nothing")
	fs.StringVar(&f.RemoveCheckpoint, "remove-checkpoint", "", "remove the checkpoint of this `name`, and run nothing")
	fs.StringVar(&f.Bisect, "bisect", "", "find the first stage after which this `command` fails in the machine, and run nothing; \"MACHINE: COMMAND\" names another machine")
	fs.StringVar(&f.Explain, "explain", "", "say what changed in this `stage` since it was last completed, and run nothing")
	fs.StringVar(&f.Diff, "diff", "", "list the files that this `stage` changed and sum up the rest, and run nothing")
}

func (f *Flags) registerEnd(fs *flag.FlagSet) {
	fs.BoolVar(&f.Keep, "keep", false, "leave the machines and their network running at the end")
	fs.BoolVar(&f.Shell, "shell", false, "open a shell in the machine at the end; press ^] three times to leave it")
	fs.StringVar(&f.OnFailure, "on-failure", "stop", "where a stage fails, `do` this with its machine: stop, keep, shell or rollback")
}

func (f *Flags) registerOutput(fs *flag.FlagSet) {
	fs.StringVar(&f.Report, "report", "", "write the run as one HTML page to `file`")
	fs.StringVar(&f.JUnit, "junit", "", "write the run as JUnit XML to `file`")
	fs.StringVar(&f.JSON, "json", "", "write each event as a line of JSON to `file`, as it comes")
	fs.StringVar(&f.Trace, "trace", "", "write the run as a trace for Perfetto to `file`")
	f.registerVerbosity(fs)
}

func (f *Flags) registerVerbosity(fs *flag.FlagSet) {
	fs.BoolVar(&f.Verbose, "v", false, "show what the steps print and each change to the host")
	fs.BoolVar(&f.Quiet, "q", false, "show failures only")
}

// validate reports everything that is wrong whatever the plan.
func (f *Flags) validate() error {
	var errs []error
	errs = append(errs, OneOf("on-failure", f.OnFailure, "stop", "keep", "shell", "rollback"),
		checkpointName("checkpoint", f.Checkpoint), checkpointName("restore", f.Restore), checkpointName("remove-checkpoint", f.RemoveCheckpoint))
	errs = append(errs, f.sameFile())
	if f.Verbose && f.Quiet {
		errs = append(errs, errors.New("-v and -q exclude each other"))
	}
	acts, idle := f.acts(), f.idle()
	if len(acts) > 1 {
		errs = append(errs, fmt.Errorf("%s exclude each other", strings.Join(acts, " and ")))
	} else if len(acts) == 1 && len(idle) > 0 {
		errs = append(errs, fmt.Errorf("%s runs nothing: leave %s out", acts[0], strings.Join(idle, " and ")))
	}
	return errors.Join(errs...)
}

// sameFile reports two reports that would be written over each other.
func (f *Flags) sameFile() error {
	by := map[string]string{}
	for _, report := range []struct{ flag, file string }{{"-json", f.JSON}, {"-junit", f.JUnit}, {"-report", f.Report}, {"-trace", f.Trace}} {
		if other := by[report.file]; other != "" && report.file != "" {
			return fmt.Errorf("%s and %s name the same file, %s", other, report.flag, report.file)
		}
		by[report.file] = report.flag
	}
	return nil
}

func checkpointName(flag, value string) error {
	if value == "" {
		return nil
	}
	if err := name.Check(value); err != nil {
		return fmt.Errorf("-%s %q: %w", flag, value, err)
	}
	return nil
}

// idle lists the flags given that mean nothing where no stage is run. A checkpoint that is
// gone back to may have machines that ran, for a shell.
func (f *Flags) idle() (names []string) {
	for _, flag := range []struct {
		name  string
		given bool
	}{
		{"-from", f.From != ""}, {"-until", f.Until != ""}, {"-only", f.Only != nil}, {"-skip", f.Skip != nil},
		{"-checkpoint", f.Checkpoint != ""}, {"-shell", f.Shell && f.Restore == ""},
	} {
		if flag.given {
			names = append(names, flag.name)
		}
	}
	return names
}

// Asked lists the flags given that say what to run and what becomes of the machines, for a
// program with flags of its own beside which they mean nothing.
func (f *Flags) Asked() []string {
	names := append(f.acts(), f.idle()...)
	if f.Keep {
		names = append(names, "-keep")
	}
	return names
}

// acts lists the flags given that ask for something else than a run.
func (f *Flags) acts() (names []string) {
	for _, act := range []struct{ name, value string }{
		{"-rollback", f.Rollback}, {"-restore", f.Restore}, {"-remove-checkpoint", f.RemoveCheckpoint},
		{"-bisect", f.Bisect}, {"-explain", f.Explain}, {"-diff", f.Diff},
	} {
		if act.value != "" {
			names = append(names, act.name)
		}
	}
	if f.Checkpoints {
		names = append(names, "-checkpoints")
	}
	return names
}

// bisection is what -bisect asks for.
func (f *Flags) bisection(machine string) (string, stage.Check) {
	command := f.Bisect
	if name, rest, ok := strings.Cut(command, ": "); ok && !strings.ContainsAny(name, " \t'\"") {
		machine, command = name, rest
	}
	return machine, check.Run("sh", "-c", command)
}

// stages are the flags that name a stage each.
func (f *Flags) stages() []*string {
	names := []*string{&f.From, &f.Until, &f.Rollback, &f.Explain, &f.Diff}
	for i := range f.Skip {
		names = append(names, &f.Skip[i])
	}
	return names
}

// qualify gives stages that machine has their whole names, so that they need not be
// unique in the plan.
func (f *Flags) qualify(plan stage.Plan, machine string) {
	for _, setup := range plan.Setups {
		if setup.Machine != machine {
			continue
		}
		for _, name := range f.stages() {
			if slices.ContainsFunc(setup.Stages, func(s stage.Stage) bool { return s.Name == *name }) {
				*name = machine + "/" + *name
			}
		}
	}
}

// check reports names that the plan does not have.
func (f *Flags) check(plan stage.Plan, machine string) error {
	lab, err := stage.Open(plan, stage.Options{StateDir: "/nonexistent"})
	if err != nil {
		return err
	}
	machines := slices.Clone(f.Only)
	if f.Bisect != "" {
		name, _ := f.bisection(machine)
		machines = append(machines, name)
	}
	if err := lab.Check(stage.Steering{Only: machines}); err != nil {
		return fmt.Errorf("%w; the machines are %s", err, strings.Join(machinesOf(plan), ", "))
	}
	err = lab.Check(f.Steering())
	for _, name := range []string{f.Rollback, f.Explain, f.Diff} {
		if err == nil && name != "" {
			err = lab.Check(stage.Steering{Skip: []string{name}}) // which only looks for it
		}
	}
	if errors.Is(err, stage.ErrNotFound) {
		return fmt.Errorf("%w; the stages are %s", err, listing(plan))
	}
	if err != nil {
		return err
	}
	if f.Shell && f.shellMachine(plan, machine) == "" {
		return errors.New("-shell: in which machine? -only MACHINE or -until MACHINE/STAGE tells")
	}
	return nil
}

// shellMachine is the machine that -shell is for: that of -until, else the program's own,
// else the only one of -only, or of the plan; "" if none of them tells.
func (f *Flags) shellMachine(plan stage.Plan, machine string) string {
	of, _, qualified := strings.Cut(f.Until, "/")
	for _, setup := range plan.Setups {
		if qualified && setup.Machine == of {
			return of
		}
		if !qualified && slices.ContainsFunc(setup.Stages, func(s stage.Stage) bool { return s.Name == of }) {
			return setup.Machine
		}
	}
	for _, list := range [][]string{{machine}, f.Only, machinesOf(plan)} {
		if len(list) == 1 && list[0] != "" {
			return list[0]
		}
	}
	return ""
}

func machinesOf(plan stage.Plan) (names []string) {
	for _, setup := range plan.Setups {
		names = append(names, setup.Machine)
	}
	return names
}

// listing is what people are told of the stages of a plan: a line for each machine.
func listing(plan stage.Plan) string {
	var text strings.Builder
	for _, setup := range plan.Setups {
		var stages []string
		for _, s := range setup.Stages {
			stages = append(stages, s.Name)
		}
		if len(plan.Setups) == 1 {
			return strings.Join(stages, ", ")
		}
		fmt.Fprintf(&text, "\n  %s/ %s", setup.Machine, strings.Join(stages, ", "))
	}
	return text.String()
}

// names lists the stages of a plan as they may be given.
func names(plan stage.Plan, machine string) (list []string) {
	for _, setup := range plan.Setups {
		for _, s := range setup.Stages {
			if setup.Machine == machine || len(plan.Setups) == 1 {
				list = append(list, s.Name)
			} else {
				list = append(list, setup.Machine+"/"+s.Name)
			}
		}
	}
	return list
}

// Steering is what the flags ask a run for.
func (f *Flags) Steering() stage.Steering {
	return stage.Steering{From: f.From, Until: f.Until, Only: f.Only, Skip: f.Skip}
}
