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
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/stagetest"
	"github.com/prologin/rig/stage/step"
)

const (
	gwAddress  = "10.0.0.254"
	webAddress = "10.0.0.2"
)

func address(machine, addr string) stage.Stage {
	return stage.Stage{
		Name: "network",
		Steps: []stage.Step{
			step.WriteFile{Path: "/etc/systemd/network/10-host0.network", Content: "[Match]\nName=host0\n\n[Network]\nAddress=" + addr + "/24\n"},
			step.Restart{Units: []string{"systemd-networkd.service"}},
		},
		Checks: []stage.Check{check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(addr + "/24")}},
	}
}

// A web server of systemd's and sh's: the least that is a real service.
const (
	helloSocket = "[Socket]\nListenStream=80\nAccept=yes\n\n[Install]\nWantedBy=sockets.target\n"
	helloServer = "[Service]\nStandardInput=socket\nStandardOutput=socket\nExecStart=/bin/sh /srv/serve\n"
	helloScript = `while read -r line && [ "${line%?}" ]; do :; done
printf 'HTTP/1.0 200 OK\r\n\r\n'; cat /srv/page
`
)

// walkPlan is gw, which serves a page that is made of a file of the host, and web, which
// fetches it.
func walkPlan(input string) stage.Plan {
	return stage.Plan{Name: "walk", Setups: []stage.Setup{
		{Machine: "gw", Base: "debian", Stages: []stage.Stage{
			address("gw", gwAddress),
			{Name: "hello", Steps: []stage.Step{
				step.WriteFile{Path: "/etc/systemd/system/hello.socket", Content: helloSocket},
				step.WriteFile{Path: "/etc/systemd/system/hello@.service", Content: helloServer},
				step.WriteFile{Path: "/srv/serve", Content: helloScript},
				step.WriteFile{Path: "/srv/page", Content: "empty\n"},
				step.Enable{Units: []string{"hello.socket"}, Now: true},
			}, Checks: []stage.Check{
				check.UnitEnabled{Name: "hello.socket"}, check.UnitActive{Name: "hello.socket"},
				check.URL{URL: "http://127.0.0.1/", Body: "empty", Inside: true},
			}},
			{Name: "page", Steps: []stage.Step{step.Copy{From: input, To: "/srv/page"}},
				Checks: []stage.Check{check.URL{URL: "http://127.0.0.1/", Body: "page", Inside: true}}},
			{Name: "last", Steps: []stage.Step{step.Script{Text: "wc -c </srv/page >/srv/size"}}},
		}},
		{Machine: "web", Base: "debian", Stages: []stage.Stage{
			address("web", webAddress),
			{Name: "fetch", Needs: []string{"gw/page"},
				Steps:  []stage.Step{step.Exec{Args: []string{"bash", "-c", `exec 3<>/dev/tcp/` + gwAddress + `/80; printf 'GET / HTTP/1.0\r\n\r\n' >&3; tail -n 1 <&3 >/root/page`}}},
				Checks: []stage.Check{check.URL{URL: "http://" + gwAddress + "/", Body: "page", Inside: true}}},
			{Name: "report", Steps: []stage.Step{step.Script{Text: "cat /root/page /root/page >/root/report"}}},
		}},
	}}
}

// TestWalk is what a user does in a day. Each part goes on where the one before it ended.
func TestWalk(t *testing.T) {
	s := newSite(t, 4<<30)
	input := filepath.Join(t.TempDir(), "input")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(input, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("page one\n")
	l := s.newLab("walk", walkPlan(input))
	for _, part := range []struct {
		name string
		f    func(*testing.T, *lab, func(string))
	}{
		{"all from nothing", fromNothing}, {"one input changes", oneInput}, {"back and forth", backAndForth},
		{"what a stage changed", changed}, {"a snapshot is deleted", deletedSnapshot}, {"a machine is killed", killedMachine},
		{"a machine reboots", rebootingMachine}, {"a step hangs", hangingStep}, {"checkpoint", checkpointed}, {"bound directory", boundDirectory}, {"three forks", threeForks},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.f(t, l, write) }) {
			t.FailNow()
		}
	}
}

func fromNothing(t *testing.T, l *lab, _ func(string)) {
	l.run(stage.Steering{}, "gw/network", "gw/hello", "gw/page", "gw/last", "web/network", "web/fetch", "web/report")
	l.wantFile("gw", "srv/size", "9\n")
	l.wantFile("web", "root/report", "page one\npage one\n")
	for _, e := range l.kinds(stage.SavedTree) {
		if e.Why != "frozen" && e.Stage != "base" {
			t.Errorf("%s/%s was saved while %s", e.Machine, e.Stage, e.Why)
		}
	}
	l.run(stage.Steering{}) // nothing is left
	if n := len(l.kinds(stage.Restored)) + len(l.kinds(stage.Started)); n != 0 {
		t.Errorf("%d restores and starts for nothing", n)
	}
}

func oneInput(t *testing.T, l *lab, write func(string)) {
	write("page number two\n")
	changes, err := l.open().Explain(context.Background(), "gw/page")
	if err != nil || len(changes) != 1 || changes[0].Name != "step 1: content" {
		t.Errorf("changes %v, %v", changes, err)
	}
	l.run(stage.Steering{}, "gw/page", "gw/last", "web/fetch", "web/report")
	l.wantFile("gw", "srv/size", "16\n")
	l.wantFile("web", "root/report", "page number two\npage number two\n")
	why := map[string]string{}
	for _, e := range l.kinds(stage.StageStarted) {
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
	l.run(stage.Steering{}) // it is all there still
	l.wantFile("web", "root/report", "page one\npage one\n")
}

func backAndForth(t *testing.T, l *lab, _ func(string)) {
	ctx := context.Background()
	result, err := l.open().Rollback(ctx, "gw/hello")
	if err != nil || !slices.Equal(result.Restored, []string{"gw", "web"}) {
		t.Fatalf("%+v, %v", result, err)
	}
	l.wantFile("gw", "srv/page", "empty\n")
	if _, err := os.Stat(filepath.Join(l.store.Dir(), "walk-web/root/page")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("web, which fetched what is undone, still has it: %v", err)
	}
	if got := l.output("gw", "systemctl", "is-active", "hello.socket"); got != "active" {
		t.Errorf("the server is %s", got)
	}
	if _, err := l.open().Rollback(ctx, "web/report"); err != nil {
		t.Fatal(err)
	}
	l.wantFile("web", "root/page", "page one\n")
	l.run(stage.Steering{})
	l.wantFile("gw", "srv/size", "9\n")
	l.run(stage.Steering{From: "gw/last"}, "gw/last")
}

func changed(t *testing.T, l *lab, _ func(string)) {
	d, err := l.open().Diff(context.Background(), "gw/hello")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(d.Files, stage.FileChange{Path: "/srv/serve", Kind: stage.Added}) ||
		!slices.Equal(d.Enabled, []string{"hello.socket"}) || !slices.Equal(d.Opened, []string{"tcp [::]:80"}) || d.Closed != nil {
		t.Errorf("%+v: %s", d, d.Summary())
	}
}

func deletedSnapshot(t *testing.T, l *lab, _ func(string)) {
	ctx := context.Background()
	v, err := l.store.Volume("walk-gw")
	if err != nil {
		t.Fatal(err)
	}
	for s, err := range v.Snapshots(ctx) {
		if err == nil && (strings.HasPrefix(s.Name, "last-") || strings.HasPrefix(s.Name, "page-")) {
			err = v.DeleteSnapshot(ctx, s.Name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.machines["gw"].Kill(ctx); err != nil {
		t.Fatal(err)
	}
	l.run(stage.Steering{}, "gw/page", "gw/last")
	l.wantFile("gw", "srv/size", "9\n")
}

func killedMachine(t *testing.T, l *lab, _ func(string)) {
	ctx := context.Background()
	good := l.plan
	defer func() { l.plan = good }()
	l.plan = walkPlan("/etc/hostname")
	l.plan.Setups[0].Stages[2].Steps = []stage.Step{step.Func{Name: "die", Version: "1", Do: func(ctx context.Context, s *stage.Session) error {
		killed := make(chan error, 1)
		go func() {
			<-time.After(200 * time.Millisecond)
			killed <- l.machines["gw"].Kill(context.WithoutCancel(ctx))
		}()
		err := s.Exec(ctx, stage.Command{Args: []string{"sleep", "60"}})
		return errors.Join(err, <-killed)
	}}}
	_, err := l.open().Run(ctx, stage.Steering{})
	if err == nil || !strings.Contains(err.Error(), "the machine is no longer running") || !strings.Contains(err.Error(), "web/fetch: need") {
		t.Errorf("error %v", err)
	}
	l.plan = good
	l.run(stage.Steering{})
	l.wantFile("gw", "srv/size", "9\n")
}

// rebootingMachine has a step that reboots the machine behind our back.
func rebootingMachine(t *testing.T, l *lab, _ func(string)) {
	good := l.plan
	defer func() { l.plan = good }()
	l.plan = walkPlan("/etc/hostname")
	l.plan.Setups[0].Stages[2].Steps = []stage.Step{
		step.Script{Text: "echo before >/srv/page; systemctl reboot"}, step.Script{Text: "sleep 20; echo after"},
	}
	_, err := l.open().Run(context.Background(), stage.Steering{Only: []string{"gw"}})
	if err == nil || !strings.Contains(err.Error(), "gw/page: step") {
		t.Errorf("error %v", err)
	}
	l.plan = good
	l.run(stage.Steering{})
	l.wantFile("gw", "srv/page", "page one\n")
}

func hangingStep(t *testing.T, l *lab, _ func(string)) {
	good := l.plan
	defer func() { l.plan = good }()
	l.plan = walkPlan("/etc/hostname")
	l.plan.Setups[0].Stages[2].Steps = []stage.Step{step.Script{Text: "sleep 4711 & setsid sleep 4711 & echo waiting; wait"}}
	l.plan.Setups[0].Stages[2].Timeout = 500 * time.Millisecond
	_, err := l.open().Run(context.Background(), stage.Steering{Only: []string{"gw"}})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "| waiting") {
		t.Errorf("error %v", err)
	}
	if got := l.output("gw", "sh", "-c", `cat /proc/[0-9]*/cmdline | tr '\0' ' '`); strings.Contains(got, "sleep 4711") {
		t.Errorf("children of the step go on: %s", got)
	}
	l.plan = good
	l.run(stage.Steering{})
}

func checkpointed(t *testing.T, l *lab, _ func(string)) {
	ctx := context.Background()
	if _, err := l.open().Checkpoint(ctx, "good"); err != nil {
		t.Fatal(err)
	}
	l.output("gw", "rm", "/srv/page")
	l.output("web", "sh", "-c", "echo spoilt >/root/report")
	if err := l.open().RestoreCheckpoint(ctx, "good"); err != nil {
		t.Fatal(err)
	}
	l.wantFile("gw", "srv/page", "page one\n")
	l.wantFile("web", "root/report", "page one\npage one\n")
	l.run(stage.Steering{})
	l.check(l.open().RemoveCheckpoint(ctx, "good"))
}

func boundDirectory(t *testing.T, l *lab, _ func(string)) {
	good := l.plan
	defer func() { l.plan = good }()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("2019\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.plan.Setups = slices.Clone(l.plan.Setups)
	l.plan.Setups[1].Stages = append(slices.Clone(l.plan.Setups[1].Stages), stage.Stage{
		Name:   "see_sadm",
		Steps:  []stage.Step{step.Bind{From: dir, To: "/root/sadm", ReadOnly: true}},
		Checks: []stage.Check{check.FileContains{Path: "/root/sadm/VERSION", Text: "2019"}, check.Mounted{Path: "/root/sadm"}},
	})
	l.run(stage.Steering{}, "web/see_sadm")
	if got := l.output("web", "sh", "-c", "echo x >/root/sadm/x || echo refused"); !strings.HasSuffix(got, "refused") {
		t.Errorf("writing to what is bound read-only: %s", got)
	}
	if _, err := l.open().Rollback(context.Background(), "web/report"); err != nil {
		t.Fatal(err)
	}
	if got := l.output("web", "sh", "-c", "ls -A /root/sadm || echo gone"); !strings.HasSuffix(got, "gone") {
		t.Errorf("before the stage, the machine sees %s", got)
	}
	l.check(l.machines["web"].Kill(context.Background()))
	l.run(stage.Steering{})
	if got := l.output("web", "cat", "/root/sadm/VERSION"); got != "2019" {
		t.Errorf("started again, the machine sees %s", got)
	}
}

func threeForks(t *testing.T, l *lab, _ func(string)) {
	var wg sync.WaitGroup
	for _, name := range []string{"one", "two", "three"} {
		fork := l.newLab(name, l.plan)
		if _, err := l.open().Fork(context.Background(), stage.Steering{}, fork.opts); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			// Everything is cached; the checks are made with the same addresses as in the others.
			if r, err := fork.open().Run(context.Background(), stage.Steering{}); err != nil || len(r.Ran) > 0 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			fork.output("gw", "sh", "-c", "echo "+name+" >/srv/page")
		})
	}
	wg.Wait()
	for _, name := range []string{"one", "two", "three", "walk"} {
		want := map[string]string{"walk": "page one\n"}[name]
		if want == "" {
			want = name + "\n"
		}
		got, err := os.ReadFile(filepath.Join(l.store.Dir(), name+"-gw", "srv/page"))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestBisect plants a fault in one of seven stages.
func TestBisect(t *testing.T) {
	s := newSite(t, 4<<30)
	plan := walkPlan("/etc/hostname")
	plan.Setups = plan.Setups[:1]
	plan.Setups[0].Stages = plan.Setups[0].Stages[:2]
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		text := "echo " + name + " >>/srv/log"
		if name == "c" {
			text += "; chmod 0 /srv/serve; ln -sf /dev/null /srv/serve" // nobody notices
		}
		plan.Setups[0].Stages = append(plan.Setups[0].Stages, stage.Stage{Name: name, Steps: []stage.Step{step.Script{Text: text}}})
	}
	for i := range plan.Setups[0].Stages {
		plan.Setups[0].Stages[i].CheckTimeout = time.Second
	}
	l := s.newLab("bisect", plan)
	l.run(stage.Steering{}, "gw/network", "gw/hello", "gw/a", "gw/b", "gw/c", "gw/d", "gw/e")
	before := l.volumes["gw"].restores
	// It must hold at the beginning, where there is no server yet.
	works := check.Run("sh", "-c", "[ ! -e /srv/serve ] || [ -s /srv/serve ]")
	got, err := l.open().Bisect(context.Background(), "gw", works)
	if err != nil || got != "c" {
		t.Errorf("found %q, %v", got, err)
	}
	if n := l.volumes["gw"].restores - before; n > 3 { // ⌈log₂ 7⌉
		t.Errorf("%d restores", n)
	}
}

func TestConformance(t *testing.T) {
	s := newSite(t, 4<<30)
	l := s.newLab("conform", stage.Plan{Name: "conform", Setups: []stage.Setup{{Machine: "m"}}})
	t.Run("volume", func(t *testing.T) {
		n := 0
		stagetest.TestVolume(t, func(t *testing.T) (stage.Volume, func() string) {
			n++
			v := &volume{store: s.store, name: "v" + string(rune('a'+n)), base: s.base}
			if _, err := s.store.Create(context.Background(), v.name); err != nil {
				t.Fatal(err)
			}
			return v, func() string { return filepath.Join(s.store.Dir(), v.name) }
		})
	})
	t.Run("machine", func(t *testing.T) {
		if err := l.volumes["m"].Reset(context.Background()); err != nil {
			t.Fatal(err)
		}
		stagetest.TestMachine(t, func(*testing.T) stage.Machine { return l.machines["m"] })
	})
}

// TestFullPool has a step that fills the storage to the last block.
func TestFullPool(t *testing.T) {
	s := newSite(t, 1<<30)
	plan := walkPlan("/etc/hostname")
	plan.Setups = plan.Setups[:1]
	stages := plan.Setups[0].Stages[:2]
	last := stage.Stage{Name: "last", Steps: []stage.Step{step.Script{Text: "wc -c </srv/page >/srv/size"}}}
	plan.Setups[0].Stages = append(slices.Clone(stages), stage.Stage{Name: "greedy", Steps: []stage.Step{
		step.Script{Text: "dd if=/dev/urandom of=/srv/big bs=1M"},
	}}, last)
	l := s.newLab("full", plan)
	_, err := l.open().Run(context.Background(), stage.Steering{})
	if err == nil || !strings.Contains(err.Error(), "No space left on device") || stage.ExitCode(err) != 1 {
		t.Errorf("error %v", err)
	}
	l.plan.Setups[0].Stages = append(slices.Clone(stages), last)
	if _, err := l.open().Run(context.Background(), stage.Steering{}); err != nil {
		// There was no room even to go back. No stage may have been given up for that.
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("error %v", err)
		}
		if err := os.Remove(filepath.Join(s.store.Dir(), "full-gw/srv/big")); err != nil {
			t.Fatal(err)
		}
		l.run(stage.Steering{}, "gw/last")
	}
	l.wantFile("gw", "srv/size", "6\n")
	if got := l.output("gw", "systemctl", "is-active", "hello.socket"); got != "active" {
		t.Errorf("the server is %s", got)
	}
}
