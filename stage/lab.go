package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prologin/rig/internal/nearest"
)

// Options says what a [Lab] works with.
type Options struct {
	// StateDir holds the lab's records, logs and lock. It is made if missing.
	StateDir string

	// Targets has a machine and a volume for each setup of the plan. Without any, a
	// Lab can only print its plan.
	Targets map[string]Target

	// Parallel limits how many stages run at a time. Zero means one for each CPU
	// and at least two, since most stages wait rather than compute.
	Parallel int

	// OnFailure says what becomes of a machine whose stage failed.
	OnFailure Policy

	// KeepFailed saves the tree of a failed stage as a snapshot named
	// "failed-STAGE", replacing an older one.
	KeepFailed bool

	// Shell is called for the machine of a failed stage if OnFailure is PolicyShell, for
	// one at a time.
	Shell func(ctx context.Context, machine string) error

	// Hint returns the command lines that resume after a failure in the given stage
	// and that give a shell in its machine, for error messages. Nil means that
	// running the same command again resumes.
	Hint func(machine, stage string) (resume, shell string)

	// Secret returns the value of a secret. It is called once for each name.
	Secret func(ctx context.Context, name string) ([]byte, error)

	// HostDial connects from the host for checks that look from there. Nil means a
	// [net.Dialer]; a lab in a network namespace of its own needs another.
	HostDial func(ctx context.Context, network, address string) (net.Conn, error)

	// NoWait fails with [ErrBusy] instead of waiting when another program has the lab.
	NoWait bool

	// Events is called for each event, one at a time. It should return soon: the run
	// waits for it.
	Events func(Event)

	// Logger gets what is of interest only when something is amiss here. Nil is silent.
	Logger *slog.Logger
}

// Target is what a setup is carried out on.
type Target struct {
	Machine Machine
	Volume  Volume
}

// Policy says what becomes of a machine whose stage failed.
type Policy int

const (
	// PolicyKeep leaves the machine running as the failure left it. The next run
	// restores it.
	PolicyKeep Policy = iota
	// PolicyShell calls Options.Shell and then acts as PolicyStop.
	PolicyShell
	// PolicyStop ends the machine, at once where it is a [Killer]: nothing of its
	// tree is wanted any more.
	PolicyStop
	// PolicyRollback restores the last completed stage and starts the machine again.
	PolicyRollback
)

// policies are the names that flags and files use.
var policies = map[Policy]string{PolicyKeep: "keep", PolicyShell: "shell", PolicyStop: "stop", PolicyRollback: "rollback"}

// String returns "keep", "shell", "stop" or "rollback".
func (p Policy) String() string { return policies[p] }

// MarshalText returns the name, so that [flag.TextVar] can show it.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes one of the names. Another is an error that matches [ErrInvalid].
func (p *Policy) UnmarshalText(text []byte) error {
	for policy, name := range policies {
		if name == string(text) {
			*p = policy
			return nil
		}
	}
	return fmt.Errorf("%w policy %q: it is keep, shell, stop or rollback", ErrInvalid, text)
}

// Lab is a plan together with the machines and volumes that it is carried out on.
// Its methods may be called concurrently; those that change machines wait for each
// other, also between programs.
type Lab struct {
	plan   Plan
	opts   Options
	dir    stateDir
	graph  *graph
	log    *slog.Logger
	hasher *hasher
	secret *secrets

	shell sync.Mutex // held while a user has a shell

	mu  sync.Mutex
	seq int
}

// Open checks the plan and the options and returns a Lab. It touches nothing and
// needs no privileges. Every fault is reported, each matching [ErrInvalid].
func Open(plan Plan, opts Options) (*Lab, error) {
	faults := []error{plan.Validate()}
	if opts.StateDir == "" {
		faults = append(faults, fmt.Errorf("%w options: no StateDir", ErrInvalid))
	}
	if len(opts.Targets) > 0 {
		faults = append(faults, checkTargets(plan, opts.Targets)...)
	}
	if opts.OnFailure == PolicyShell && opts.Shell == nil {
		faults = append(faults, fmt.Errorf("%w options: PolicyShell without Shell", ErrInvalid))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if opts.Parallel <= 0 {
		opts.Parallel = max(2, runtime.NumCPU())
	}
	if opts.HostDial == nil {
		opts.HostDial = new(net.Dialer).DialContext
	}
	if opts.Hint == nil {
		opts.Hint = sameCommand
	}
	l := &Lab{plan: plan, opts: opts, dir: stateDir(opts.StateDir), graph: newGraph(plan), log: opts.Logger}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.hasher = &hasher{cache: loadHashCache(l.dir.path("hashes"))}
	l.secret = &secrets{lookup: opts.Secret, keyFile: l.dir.path("key")}
	return l, nil
}

func checkTargets(plan Plan, targets map[string]Target) (faults []error) {
	var names []string
	for _, s := range plan.Setups {
		names = append(names, s.Machine)
		if t := targets[s.Machine]; t.Machine == nil || t.Volume == nil {
			faults = append(faults, fmt.Errorf("%w options: no target for machine %q", ErrInvalid, s.Machine))
		} else if err := s.checkBinds(t.Machine); err != nil {
			faults = append(faults, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		if !slices.Contains(names, name) {
			faults = append(faults, fmt.Errorf("%w options: target %q is no machine of the plan%s", ErrInvalid, name, nearest.Hint(name, names)))
		}
	}
	return faults
}

func sameCommand(string, string) (string, string) {
	args := slices.Clone(os.Args)
	args[0] = filepath.Base(args[0])
	return strings.Join(args, " "), ""
}

// Stages returns every stage as "machine/stage" in the order of the plan.
func (l *Lab) Stages() []string { return l.plan.refs() }

func (l *Lab) setup(machine string) *Setup {
	for i := range l.plan.Setups {
		if l.plan.Setups[i].Machine == machine {
			return &l.plan.Setups[i]
		}
	}
	return nil
}

// resolve finds a stage by "machine/stage", or by its own name if only one machine
// has a stage of that name.
func (l *Lab) resolve(name string) (int, error) {
	known := l.plan.refs()
	if i, ok := l.graph.index[name]; ok {
		return i, nil
	}
	var found []int
	var bare []string
	for i, n := range l.graph.nodes {
		bare = append(bare, n.ref.stage)
		if n.ref.stage == name {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("stage %q: %w: several machines have it; write %q", name, ErrInvalid, known[found[0]])
	case strings.Contains(name, "/"):
		return 0, fmt.Errorf("stage %q: %w%s", name, ErrNotFound, nearest.Hint(name, known))
	}
	return 0, fmt.Errorf("stage %q: %w%s", name, ErrNotFound, nearest.Hint(name, bare))
}

// emit sends an event. Callers fill in everything but Seq and Time.
func (l *Lab) emit(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Text, e.Err = l.secret.redactText(e.Text), l.secret.redactText(e.Err)
	l.seq++
	e.Seq, e.Time = l.seq, time.Now()
	if l.opts.Events != nil {
		l.opts.Events(e)
	}
}
