package real

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prologin/rig/netsetup"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/stage"
)

// site is what labs are built on: storage, a launcher, networks.
type site struct {
	t     testing.TB
	store *snapshot.Store
	base  snapshot.Snapshot
	host  *nspawn.Host
	net   *netsetup.Host
}

// newSite makes everything in the test's own directory, and asserts at the end that
// nothing is left.
func newSite(t testing.TB, poolSize int64) *site {
	t.Helper()
	if why := os.Getenv(noRoot); why != "" {
		t.Skip("no machines: " + why)
	}
	if testing.Short() {
		t.Skip("boots machines")
	}
	ctx := context.Background() // the clean-up needs it as well
	s := &site{t: t}
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pool, err := snapshot.CreatePool(ctx, filepath.Join(dir, "pool"), poolSize, filepath.Join(dir, "trees"))
	if errors.Is(err, snapshot.ErrNoProgram) {
		t.Skip(err)
	}
	must(err)
	t.Cleanup(func() { s.check(pool.Destroy(ctx)) })
	s.store, err = snapshot.Open(ctx, pool.Dir(), snapshot.Options{})
	must(err)
	t.Cleanup(func() { s.check(s.store.Close()) })
	s.host, err = nspawn.Open(ctx, nspawn.HostOptions{StateDir: filepath.Join(dir, "machines"), Launcher: nspawn.LauncherDirect, StopOnClose: true})
	must(err)
	t.Cleanup(func() { s.check(s.host.Close()) })
	s.net, err = netsetup.Open(netsetup.Options{StateDir: filepath.Join(dir, "net")})
	must(err)
	t.Cleanup(func() { s.check(s.net.Close()) })

	base, err := s.store.Create(ctx, "base")
	must(err)
	if out, err := exec.Command("cp", "-a", os.Getenv(debianRoot)+"/.", base.Path()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.base, err = base.Snapshot(ctx, "debian", snapshot.Metadata{})
	must(err)
	return s
}

func (s *site) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

// lab is a [stage.Lab] with all that tests look at.
type lab struct {
	*site
	name     string
	plan     stage.Plan
	opts     stage.Options
	machines map[string]*machine
	volumes  map[string]*volume

	mu     sync.Mutex
	events []stage.Event
}

// newLab makes the targets of a lab of the given name: its machines are on a bridge of
// their own, and so may have the addresses of another lab's.
func (s *site) newLab(name string, plan stage.Plan) *lab {
	s.t.Helper()
	ctx := context.Background()
	l := &lab{site: s, name: name, plan: plan, machines: map[string]*machine{}, volumes: map[string]*volume{}}
	bridge := "br-" + name
	if err := s.net.Apply(ctx, netsetup.Network{Bridge: bridge}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.check(s.net.Remove(ctx, bridge)) })
	l.opts = stage.Options{StateDir: filepath.Join(s.t.TempDir(), name), Targets: map[string]stage.Target{}, Events: l.event}
	for _, setup := range plan.Setups {
		own := name + "-" + setup.Machine
		v := &volume{store: s.store, name: own, base: s.base}
		m := &machine{host: s.host, config: nspawn.Config{
			Name: own, Hostname: setup.Machine, Root: filepath.Join(s.store.Dir(), own),
			Network: nspawn.Network{Bridge: bridge}, SuppressSync: true,
		}}
		l.machines[setup.Machine], l.volumes[setup.Machine] = m, v
		l.opts.Targets[setup.Machine] = stage.Target{Machine: m, Volume: v}
		s.t.Cleanup(func() { s.check(m.Kill(ctx)) })
	}
	return l
}

func (l *lab) event(e stage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	if testing.Verbose() && e.Kind != stage.Planned {
		l.t.Logf("%s: %s %s/%s %s %s %v %s", l.name, e.Kind, e.Machine, e.Stage, e.Text, e.Why, e.Elapsed, e.Err)
	}
}

func (l *lab) kinds(kind stage.Kind) (out []stage.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// open returns the lab as a program that starts sees it.
func (l *lab) open() *stage.Lab {
	l.t.Helper()
	opened, err := stage.Open(l.plan, l.opts)
	if err != nil {
		l.t.Fatal(err)
	}
	return opened
}

// run runs the plan and fails the test unless exactly these stages ran.
func (l *lab) run(s stage.Steering, want ...string) {
	l.t.Helper()
	l.mu.Lock()
	l.events = nil
	l.mu.Unlock()
	r, err := l.open().Run(context.Background(), s)
	if err != nil {
		l.t.Fatal(err)
	}
	if !slices.Equal(r.Ran, want) {
		l.t.Fatalf("%s: ran %q, want %q", l.name, r.Ran, want)
	}
}

// output runs a command in a machine and returns what it printed.
func (l *lab) output(machine string, args ...string) string {
	l.t.Helper()
	var out strings.Builder
	err := l.machines[machine].Exec(context.Background(), stage.Command{Args: args, Stdout: &out, Stderr: &out})
	if err != nil {
		l.t.Errorf("%s: %q: %v: %s", machine, args, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

// wantFile looks at the tree itself.
func (l *lab) wantFile(machine, name, want string) {
	l.t.Helper()
	got, err := os.ReadFile(filepath.Join(l.store.Dir(), l.name+"-"+machine, name))
	if err != nil || string(got) != want {
		l.t.Errorf("%s of %s is %q, %v; want %q", name, machine, got, err, want)
	}
}
