package stage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// sockets plays a machine that listens at TCP port 22 and, once /log says so, at more.
func sockets(_ context.Context, p *stagetest.Proc) error {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	data, _ := p.Root.ReadFile("log")
	p.Printf("tcp\n%s   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1\n", header)
	p.Printf("   1: FE00000A:0016 0100000A:D431 01 00000000:00000000 00:00000000 00000000     0        0 2\n") // a connection
	p.Printf("tcp6\n%s", header)
	if strings.Contains(string(data), "two") {
		p.Printf("   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 3\n")
	}
	p.Printf("udp\n%s", header)
	if strings.Contains(string(data), "two") {
		p.Printf("   0: FE00000A:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4\n")
		p.Printf("   0: FE00000A:D035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5\n") // a client
	}
	p.Printf("udp6\n")
	return nil
}

func TestDiff(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two", "three"))
	f.machines["gw"].Handle("sockets", sockets)
	f.plan.Setups[0].Stages[1].Steps = append(f.plan.Setups[0].Stages[1].Steps,
		command{"append", "/etc/systemd/system/multi-user.target.wants/nginx.service"},
		command{"append", "/var/lib/pacman/local/nginx-1.26.3-1/desc"},
		command{"append", "/var/lib/dpkg/info/libc6.list"},
		command{"append", "/var/lib/dpkg/info/libc6.md5sums"},
		command{"append", "/etc/systemd/system/a.service"},
	)
	f.plan.Setups[0].Stages[2].Steps = []stage.Step{command{"rm", "/var/lib/dpkg/info/libc6.list"}, command{"rm", "/log"},
		command{"rm", "/etc/systemd/system/multi-user.target.wants/nginx.service"}}
	f.run(stage.Steering{}, "gw/one", "gw/two", "gw/three")
	for name, want := range map[string]stage.Difference{
		"one": {Files: []stage.FileChange{{Path: "/log", Kind: stage.Added}}},
		"two": {
			Files: []stage.FileChange{
				{Path: "/etc/systemd/system/a.service", Kind: stage.Added},
				{Path: "/etc/systemd/system/multi-user.target.wants/nginx.service", Kind: stage.Added},
				{Path: "/log", Kind: stage.Modified},
				{Path: "/var/lib/dpkg/info/libc6.list", Kind: stage.Added},
				{Path: "/var/lib/dpkg/info/libc6.md5sums", Kind: stage.Added},
				{Path: "/var/lib/pacman/local/nginx-1.26.3-1/desc", Kind: stage.Added},
			},
			Installed: []string{"libc6", "nginx-1.26.3-1"},
			Enabled:   []string{"nginx.service"},
			Opened:    []string{"tcp [::1]:80", "udp 10.0.0.254:53"},
		},
		"three": {
			Files: []stage.FileChange{
				{Path: "/etc/systemd/system/multi-user.target.wants/nginx.service", Kind: stage.Removed},
				{Path: "/log", Kind: stage.Removed},
				{Path: "/var/lib/dpkg/info/libc6.list", Kind: stage.Removed},
			},
			Removed:  []string{"libc6"},
			Disabled: []string{"nginx.service"},
			Closed:   []string{"tcp [::1]:80", "udp 10.0.0.254:53"},
		},
	} {
		got, err := f.lab().Diff(context.Background(), name)
		if err != nil || fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
	}
	if got, err := f.lab().Diff(context.Background(), "two"); err != nil || got.Summary() !=
		"installed libc6, nginx-1.26.3-1; enabled nginx.service; listens at tcp [::1]:80, udp 10.0.0.254:53" {
		t.Errorf("%q, %v", got.Summary(), err)
	}
}

// TestDiffWithoutPorts: where the ports could not be read, none are said to have been closed.
func TestDiffWithoutPorts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two"))
	calls := 0
	f.machines["gw"].Handle("sockets", func(ctx context.Context, p *stagetest.Proc) error {
		if calls++; calls == 3 { // of the base, after one, after two
			return p.Fail(1, "too busy")
		}
		return sockets(ctx, p)
	})
	f.run(stage.Steering{}, "gw/one", "gw/two")
	got, err := f.lab().Diff(context.Background(), "two")
	if err != nil || got.Opened != nil || got.Closed != nil || calls != 3 {
		t.Errorf("%+v, %v, after %d calls", got, err, calls)
	}
}

func TestDiffOfFailedStage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, single("one", "two"))
	f.opts.KeepFailed, f.opts.OnFailure = true, stage.PolicyRollback
	f.plan.Setups[0].Stages[1].Steps = []stage.Step{command{"append", "/half"}, command{"false"}}
	if _, err := f.lab().Run(context.Background(), stage.Steering{}); err == nil {
		t.Fatal("no error")
	}
	got, err := f.lab().Diff(context.Background(), "two")
	if want := (stage.FileChange{Path: "/half", Kind: stage.Added}); err != nil || !slices.Equal(got.Files, []stage.FileChange{want}) {
		t.Errorf("%+v, %v", got, err)
	}
	// What failed on another tree is not the difference to this one.
	f.plan.Setups[0].Stages[0].Steps = []stage.Step{do("eins")}
	f.run(stage.Steering{Until: "one"}, "gw/one")
	if got, err := f.lab().Diff(context.Background(), "two"); !errors.Is(err, stage.ErrNotFound) {
		t.Errorf("%+v, %v", got, err)
	}
}
