package real

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// site is a plan and what it is carried out on, with all that tests look at.
type site struct {
	t    testing.TB
	lab  *lab.Lab
	plan stage.Plan
	opts stage.Options

	mu     sync.Mutex
	events []stage.Event
}

// newSite makes everything in the test's own directory, and asserts at the end that
// nothing is left.
func newSite(t testing.TB, poolSize int64, plan stage.Plan) *site {
	t.Helper()
	if why := os.Getenv(noRoot); why != "" {
		t.Skip("no machines: " + why)
	}
	if testing.Short() {
		t.Skip("boots machines")
	}
	ctx := context.Background() // the clean-up needs it as well
	s := &site{t: t, plan: plan}
	dir := t.TempDir()
	pool, err := snapshot.CreatePool(ctx, filepath.Join(dir, "pool"), poolSize, filepath.Join(dir, "trees"))
	if errors.Is(err, snapshot.ErrMissingProgram) {
		t.Skip(err)
	}
	s.must(err)
	t.Cleanup(func() { s.check(pool.Destroy(ctx)) })
	config := lab.Config{Zone: "real", Prefix: netip.MustParsePrefix("10.0.0.1/24"), Isolated: true}
	for _, setup := range plan.Setups {
		m := lab.Machine{Name: setup.Machine}
		m.Config.SuppressSync = true
		config.Machines = append(config.Machines, m)
	}
	s.lab, err = lab.Open(ctx, config, lab.Options{
		State: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"), Store: pool.Dir(),
		Base: os.Getenv(debianRoot), Mirror: "none", Launcher: "direct", Network: "bridge", NoInstall: true,
	})
	s.must(err)
	t.Cleanup(func() { s.check(s.lab.Close(ctx)) })
	targets, err := s.lab.Targets(ctx, &s.plan)
	s.must(err)
	s.opts = stage.Options{StateDir: s.lab.StageDir(), Targets: targets, Events: s.event}
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

func (s *site) event(e stage.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	if testing.Verbose() && e.Kind != stage.EventPlanned {
		s.t.Logf("%s/%s %s %s %s %v %s", e.Machine, e.Stage, e.Kind, e.Text, e.Why, e.Elapsed, e.Err)
	}
}

func (s *site) kinds(kind stage.EventKind) (out []stage.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// with replaces the plan by one for the same machines, until the function that it
// returns is called.
func (s *site) with(plan stage.Plan) (back func()) {
	before := s.plan
	for i := range plan.Setups {
		plan.Setups[i].Base = before.Setups[i].Base
	}
	s.plan = plan
	return func() { s.plan = before }
}

// open returns the lab as a program that starts sees it.
func (s *site) open() *stage.Lab {
	s.t.Helper()
	opened, err := stage.Open(s.plan, s.opts)
	s.must(err)
	return opened
}

// run runs the plan and fails the test unless exactly these stages ran.
func (s *site) run(steering stage.Steering, want ...string) {
	s.t.Helper()
	s.mu.Lock()
	s.events = nil
	s.mu.Unlock()
	r, err := s.open().Run(context.Background(), steering)
	s.must(err)
	if !slices.Equal(r.Ran, want) {
		s.t.Fatalf("ran %q, want %q", r.Ran, want)
	}
}

// kill is a power cut.
func (s *site) kill(ctx context.Context, machine string) error {
	return s.opts.Targets[machine].Machine.(stage.Killer).Kill(ctx)
}

// output runs a command in a machine and returns what it printed.
func (s *site) output(machine string, args ...string) string {
	s.t.Helper()
	var out strings.Builder
	err := s.opts.Targets[machine].Machine.Exec(context.Background(), stage.Command{Args: args, Stdout: &out, Stderr: &out})
	if err != nil {
		s.t.Errorf("%s: %q: %v: %s", machine, args, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

// tree is the path of a file of a machine on the host.
func (s *site) tree(machine, name string) string {
	return filepath.Join(s.lab.StoreDir(), machine, name)
}

// wantFile looks at the tree itself.
func (s *site) wantFile(machine, name, want string) {
	s.t.Helper()
	got, err := os.ReadFile(s.tree(machine, name))
	if err != nil || string(got) != want {
		s.t.Errorf("%s of %s is %q, %v; want %q", name, machine, got, err, want)
	}
}
