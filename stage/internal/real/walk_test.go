package real

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// TestWalk is what a user does in a day. Each part goes on where the one before it ended.
func TestWalk(t *testing.T) {
	input := filepath.Join(t.TempDir(), "input")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(input, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("page one\n")
	s := newSite(t, 4<<30, walkPlan(input))
	for _, part := range []struct {
		name string
		f    func(*testing.T, *site)
	}{
		{"all from nothing", fromNothing},
		{"one input changes", func(t *testing.T, s *site) { oneInput(t, s, write) }},
		{"back and forth", backAndForth}, {"what a stage changed", changed},
		{"a snapshot is deleted", deletedSnapshot}, {"a machine is killed", killedMachine},
		{"a machine reboots", rebootingMachine}, {"a step hangs", hangingStep},
		{"checkpoint", checkpointed}, {"bound directory", boundDirectory}, {"three forks", threeForks},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.f(t, s) }) {
			t.FailNow()
		}
	}
}

func fromNothing(t *testing.T, s *site) {
	s.run(stage.Steering{}, "gw/network", "gw/hello", "gw/page", "gw/last", "web/network", "web/fetch", "web/report")
	s.wantFile("gw", "srv/size", "9\n")
	s.wantFile("web", "root/report", "page one\npage one\n")
	for _, e := range s.kinds(stage.EventSaved) {
		if e.Why != "frozen" && e.Stage != "base" {
			t.Errorf("%s/%s was saved while %s", e.Machine, e.Stage, e.Why)
		}
	}
	s.run(stage.Steering{}) // nothing is left
	if n := len(s.kinds(stage.EventRestored)) + len(s.kinds(stage.EventMachineStarted)); n != 0 {
		t.Errorf("%d restores and starts for nothing", n)
	}
}

func oneInput(t *testing.T, s *site, write func(string)) {
	write("page number two\n")
	changes, err := s.open().Explain(context.Background(), "gw/page")
	if err != nil || len(changes) != 1 || changes[0].Name != "step 1: content" {
		t.Errorf("changes %v, %v", changes, err)
	}
	s.run(stage.Steering{}, "gw/page", "gw/last", "web/fetch", "web/report")
	s.wantFile("gw", "srv/size", "16\n")
	s.wantFile("web", "root/report", "page number two\npage number two\n")
	why := map[string]string{}
	for _, e := range s.kinds(stage.EventStageStarted) {
		why[e.Machine+"/"+e.Stage] = e.Why
	}
	for stage, want := range map[string]string{
		"gw/page": "step 1: content changed", "gw/last": "the stage before it changed",
		"web/fetch": "gw/page changed", "web/report": "the stage before it changed",
	} {
		if why[stage] != want {
			t.Errorf("%s ran because %q, want %q", stage, why[stage], want)
		}
	}
	write("page one\n")
	s.run(stage.Steering{}) // it is all there still
	s.wantFile("web", "root/report", "page one\npage one\n")
}

func backAndForth(t *testing.T, s *site) {
	ctx := context.Background()
	result, err := s.open().Rollback(ctx, "gw/hello")
	if err != nil || !slices.Equal(result.Restored, []string{"gw", "web"}) {
		t.Fatalf("%+v, %v", result, err)
	}
	s.wantFile("gw", "srv/page", "empty\n")
	if _, err := os.Stat(s.tree("web", "root/page")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("web, which fetched what is undone, still has it: %v", err)
	}
	if got := s.output("gw", "systemctl", "is-active", "hello.socket"); got != "active" {
		t.Errorf("the server is %s", got)
	}
	if _, err := s.open().Rollback(ctx, "web/report"); err != nil {
		t.Fatal(err)
	}
	s.wantFile("web", "root/page", "page one\n")
	s.run(stage.Steering{})
	s.wantFile("gw", "srv/size", "9\n")
	s.run(stage.Steering{From: "gw/last"}, "gw/last")
}

func changed(t *testing.T, s *site) {
	d, err := s.open().Diff(context.Background(), "gw/hello")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(d.Files, stage.FileChange{Path: "/srv/serve", Kind: stage.Added}) ||
		!slices.Equal(d.Enabled, []string{"hello.socket"}) || !slices.Equal(d.Opened, []string{"tcp [::]:80"}) || d.Closed != nil {
		t.Errorf("%+v: %s", d, d.Summary())
	}
}

func deletedSnapshot(t *testing.T, s *site) {
	ctx := context.Background()
	v := s.opts.Targets["gw"].Volume
	saved, err := v.Saved(ctx)
	s.must(err)
	for _, snapshot := range saved {
		if strings.HasPrefix(snapshot.Name, "last-") || strings.HasPrefix(snapshot.Name, "page-") {
			s.must(v.Remove(ctx, snapshot.Name))
		}
	}
	s.must(s.kill(ctx, "gw"))
	s.run(stage.Steering{}, "gw/page", "gw/last")
	s.wantFile("gw", "srv/size", "9\n")
}

func killedMachine(t *testing.T, s *site) {
	ctx := context.Background()
	bad := walkPlan("/etc/hostname")
	bad.Setups[0].Stages[2].Steps = []stage.Step{step.Func{Name: "die", Version: "1", Do: func(ctx context.Context, session *stage.Session) error {
		killed := make(chan error, 1)
		go func() {
			<-time.After(200 * time.Millisecond)
			killed <- s.kill(context.WithoutCancel(ctx), "gw")
		}()
		err := session.Exec(ctx, stage.Command{Args: []string{"sleep", "60"}})
		return errors.Join(err, <-killed)
	}}}
	back := s.with(bad)
	_, err := s.open().Run(ctx, stage.Steering{})
	if err == nil || !strings.Contains(err.Error(), "the machine is no longer running") || !strings.Contains(err.Error(), "web/fetch: need") {
		t.Errorf("error %v", err)
	}
	back()
	s.run(stage.Steering{})
	s.wantFile("gw", "srv/size", "9\n")
}

// rebootingMachine has a step that reboots the machine behind our back.
func rebootingMachine(t *testing.T, s *site) {
	bad := walkPlan("/etc/hostname")
	bad.Setups[0].Stages[2].Steps = []stage.Step{
		step.Script{Text: "echo before >/srv/page; systemctl reboot"}, step.Script{Text: "sleep 20; echo after"},
	}
	back := s.with(bad)
	_, err := s.open().Run(context.Background(), stage.Steering{Only: []string{"gw"}})
	if err == nil || !strings.Contains(err.Error(), "gw/page: step") {
		t.Errorf("error %v", err)
	}
	back()
	s.run(stage.Steering{})
	s.wantFile("gw", "srv/page", "page one\n")
}

func hangingStep(t *testing.T, s *site) {
	bad := walkPlan("/etc/hostname")
	bad.Setups[0].Stages[2].Steps = []stage.Step{step.Script{Text: "sleep 4711 & setsid sleep 4711 & echo waiting; wait"}}
	bad.Setups[0].Stages[2].Timeout = 500 * time.Millisecond
	back := s.with(bad)
	_, err := s.open().Run(context.Background(), stage.Steering{Only: []string{"gw"}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "| waiting") {
		t.Errorf("error %v", err)
	}
	if got := s.output("gw", "sh", "-c", `cat /proc/[0-9]*/cmdline | tr '\0' ' '`); strings.Contains(got, "sleep 4711") {
		t.Errorf("children of the step go on: %s", got)
	}
	back()
	s.run(stage.Steering{})
}

func checkpointed(t *testing.T, s *site) {
	ctx := context.Background()
	if _, err := s.open().Checkpoint(ctx, "good"); err != nil {
		t.Fatal(err)
	}
	s.output("gw", "rm", "/srv/page")
	s.output("web", "sh", "-c", "echo spoilt >/root/report")
	if err := s.open().RestoreCheckpoint(ctx, "good"); err != nil {
		t.Fatal(err)
	}
	s.wantFile("gw", "srv/page", "page one\n")
	s.wantFile("web", "root/report", "page one\npage one\n")
	s.run(stage.Steering{})
	s.check(s.open().RemoveCheckpoint(ctx, "good"))
}

func boundDirectory(t *testing.T, s *site) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("2019\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	plan := s.plan
	plan.Setups = slices.Clone(plan.Setups)
	plan.Setups[1].Stages = append(slices.Clone(plan.Setups[1].Stages), stage.Stage{
		Name:   "see_sadm",
		Steps:  []stage.Step{step.Bind{From: dir, To: "/root/sadm", ReadOnly: true}},
		Checks: []stage.Check{check.FileContains{Path: "/root/sadm/VERSION", Text: "2019"}, check.Mounted{Path: "/root/sadm"}},
	})
	defer s.with(plan)()
	s.run(stage.Steering{}, "web/see_sadm")
	if got := s.output("web", "sh", "-c", "echo x >/root/sadm/x || echo refused"); !strings.HasSuffix(got, "refused") {
		t.Errorf("writing to what is bound read-only: %s", got)
	}
	if _, err := s.open().Rollback(context.Background(), "web/report"); err != nil {
		t.Fatal(err)
	}
	if got := s.output("web", "sh", "-c", "ls -A /root/sadm || echo gone"); !strings.HasSuffix(got, "gone") {
		t.Errorf("before the stage, the machine sees %s", got)
	}
	s.check(s.kill(context.Background(), "web"))
	s.run(stage.Steering{})
	if got := s.output("web", "cat", "/root/sadm/VERSION"); got != "2019" {
		t.Errorf("started again, the machine sees %s", got)
	}
}

func threeForks(t *testing.T, s *site) {
	ctx := context.Background()
	var wg sync.WaitGroup
	for number := range 3 {
		fork, err := s.lab.Fork(ctx, number)
		s.must(err)
		t.Cleanup(func() { s.check(fork.Close(ctx)) })
		opts := stage.Options{StateDir: fork.StageDir(), Targets: fork.Targets(s.opts.Targets)}
		opened, err := s.open().Fork(ctx, stage.Steering{}, opts)
		s.must(err)
		wg.Go(func() {
			// Everything is cached; the checks are made with the same addresses as in the others.
			if r, err := opened.Run(ctx, stage.Steering{}); err != nil || len(r.Ran) > 0 {
				t.Errorf("fork %d: %+v, %v", number, r, err)
			}
			spoil := stage.Command{Args: []string{"sh", "-c", fmt.Sprintf("echo fork %d >/srv/page", number)}}
			s.check(opts.Targets["gw"].Machine.Exec(ctx, spoil))
		})
	}
	wg.Wait()
	s.wantFile("gw", "srv/page", "page one\n")
	for number := range 3 {
		s.wantFile(fmt.Sprintf("gw.fork%d", number), "srv/page", fmt.Sprintf("fork %d\n", number))
	}
}
