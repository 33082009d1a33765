package stagetest_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

func TestFakeVolume(t *testing.T) {
	t.Parallel()
	stagetest.TestVolume(t, func(t *testing.T) (stage.Volume, func() string) {
		v, err := stagetest.NewVolume(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return v, v.Tree
	})
}

// process is a machine that is a process group on this host.
type process struct {
	mu sync.Mutex
	up bool
}

func (p *process) set(up bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = up
	return nil
}

func (p *process) Start(context.Context) error { return p.set(true) }
func (p *process) Stop(context.Context) error  { return p.set(false) }

func (p *process) Running(context.Context) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up, nil
}

func (p *process) Exec(ctx context.Context, c stage.Command) error {
	if up, _ := p.Running(ctx); !up {
		return stagetest.ErrNotRunning
	}
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Env, cmd.Dir = append(os.Environ(), c.Env...), c.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd.Run()
}

// TestConformance shows that a simple machine can pass.
func TestConformance(t *testing.T) {
	t.Parallel()
	stagetest.TestMachine(t, func(*testing.T) stage.Machine { return new(process) })
}
