package stage_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/golden"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// everything is a plan with each kind of step and check.
func everything() stage.Plan {
	return stage.Plan{Name: "prolo", Setups: []stage.Setup{
		{Machine: "gw", Base: "arch-2026", Stages: []stage.Stage{
			{Name: "network", Doc: "Give gw its address towards the host.",
				Steps: []stage.Step{
					step.WriteFile{Path: "/etc/systemd/network/10-gw.network", Content: "[Match]\nName=host0\n\n[Network]\nAddress=10.0.0.254/24\n"},
					step.WriteFile{Path: "/etc/hosts.d/it's", Content: "EOF\nno end", Mode: 0o600, Owner: "root:adm"},
					step.WriteFile{Path: "/etc/secret", Secret: "master_secret"},
					step.Restart{Units: []string{"systemd-networkd.service"}},
				},
				Checks: []stage.Check{
					check.HasAddress{Address: netip.MustParsePrefix("10.0.0.254/24"), Interface: "host0"},
					check.Ping{Address: netip.MustParseAddr("10.0.0.254")},
					check.Ping{Address: netip.MustParseAddr("10.0.0.1"), Inside: true},
				}},
			{Name: "packages", Doc: "Install what the services need.",
				Steps: []stage.Step{
					step.Install{Packages: []string{"bind", "nginx"}, Refresh: true},
					step.EditFile{Path: "/etc/hosts", Name: "mdb", Lines: "127.0.0.1 mdb"},
					step.EditFile{Path: "/etc/nginx/nginx.conf", Name: "sso", Lines: "include sso;", After: "http {"},
					step.Copy{From: "testdata/input", To: "/root/sadm"},
				},
				Checks: []stage.Check{
					check.FilePresent{Path: "/root/sadm"}, check.FileContains{Path: "/etc/hosts", Text: "mdb"},
					check.Mounted{Path: "/export"}, check.Run("nginx", "-t"),
				}},
			{Name: "services",
				Steps: []stage.Step{
					step.Exec{Args: []string{"python3", "install.py", "mdb udb"}, Env: []string{"A=b c"}, Secrets: map[string]string{"MASTER": "master_secret"}, Dir: "/root/sadm"},
					step.Exec{Args: []string{"chpasswd"}, Stdin: "root:101010\n"},
					step.Script{Text: "for u in a b; do\n\tuseradd $u\ndone\n"},
					step.Enable{Units: []string{"nginx.service", "named.service"}, Now: true},
					step.Start{Units: []string{"a.service"}}, step.Reload{Units: []string{"b.service"}},
					step.Stop{Units: []string{"c.service"}}, step.Disable{Units: []string{"d.service"}, Now: true},
					step.Func{Name: "add gw to the machine database", Version: "1", Do: func(context.Context, *stage.Session) error { return nil }},
					step.Reboot{},
				},
				Checks: []stage.Check{
					check.UnitActive{Name: "nginx.service"}, check.UnitEnabled{Name: "nginx.service"},
					check.PortOpen{Address: "10.0.0.254:53"},
					check.URL{URL: "http://10.0.0.254/", Host: "mdb", Header: "X-SSO: working", Body: "hello"},
					check.URL{URL: "http://mdb/call/query", Inside: true},
					check.Resolves{Name: "gw.prolo", Want: "192.168.1.254", Server: "10.0.0.254"},
					check.Resolves{Name: "mdb.prolo", Inside: true},
				}},
			{Name: "redmine", Skip: "not ready"},
		}},
		{Machine: "web", Base: "arch-2026", Stages: []stage.Stage{
			{Name: "add_to_mdb", Needs: []string{"gw/services"}, Steps: []stage.Step{step.Command("true")}, Timeout: time.Minute},
			{Name: "see_sadm", Steps: []stage.Step{
				step.Bind{From: "testdata/input", To: "/root/sadm", ReadOnly: true},
				step.Bind{From: "/dev/null", To: "/dev/nbd0", Live: true},
			}},
		}},
	}}
}

func TestManual(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := everything().WriteManual(&b); err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, filepath.Join("testdata", "manual.golden"), b.String())
}

// TestKeysStay makes sure that keys do not change from one version of this package to
// the next: that would make everyone's stages run again. If it is meant, say so by a
// new keyVersion.
func TestKeysStay(t *testing.T) {
	t.Parallel()
	f := newFixture(t, everything())
	f.opts.Secret = func(context.Context, string) ([]byte, error) { return []byte("s"), nil }
	if err := os.MkdirAll(f.opts.StateDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.opts.StateDir, "key"), make([]byte, 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("testdata/input/run.sh", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod("testdata/input", 0o755); err != nil {
		t.Fatal(err)
	}
	decisions, err := f.lab().Preview(context.Background(), stage.Steering{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, d := range decisions {
		b.WriteString(d.Machine + "/" + d.Stage + " " + d.Action + " " + d.Key + "\n")
	}
	golden.Equal(t, filepath.Join("testdata", "keys.golden"), b.String())
}

func TestWritePlan(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.run(stage.Steering{Until: "two"}, "gw/one", "gw/two")
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{do("zwei")}
	var b strings.Builder
	if err := f.lab().WritePlan(context.Background(), &b, stage.Steering{Skip: []string{"three"}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[cached: snapshot ", "[run: step 1: command changed]", "[skipped: asked for]"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	// Without targets, the records tell what was completed.
	records, err := stage.Open(single("one", "two", "three"), stage.Options{StateDir: f.opts.StateDir})
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := records.Preview(context.Background(), stage.Steering{})
	if err != nil || decisions[1].Action != "cached" || decisions[2].Action != "run" {
		t.Errorf("from the records: %+v, %v", decisions, err)
	}
	// The base too, if the plan does not name one.
	unnamed := single("one", "two", "three")
	unnamed.Setups[0].Base = ""
	if records, err = stage.Open(unnamed, stage.Options{StateDir: f.opts.StateDir}); err != nil {
		t.Fatal(err)
	}
	if again, err := records.Preview(context.Background(), stage.Steering{}); err != nil || !slices.Equal(again, decisions) {
		t.Errorf("without a base: %+v, %v", again, err)
	}
	// Nothing else is needed.
	lab, err := stage.Open(f.plan, stage.Options{StateDir: "/nonexistent"})
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.WritePlan(context.Background(), &b, stage.Steering{}); err != nil {
		t.Error(err)
	}
	if _, err := lab.Run(context.Background(), stage.Steering{}); err == nil {
		t.Error("a run without targets")
	}
}
