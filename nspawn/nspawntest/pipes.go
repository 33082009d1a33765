package nspawntest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

func testCommandPipes(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("pipes")})
	ctx := testContext(t)

	for name, by := range map[string]command{"Command": m.Command, "CommandUnit": m.CommandUnit} {
		t.Run("100 MB through each pipe of "+name, func(t *testing.T) {
			const size = 100 << 20
			cmd := by(ctx, "tee", "/dev/stderr")
			var out, errs counter
			cmd.Stdin, cmd.Stdout, cmd.Stderr = io.LimitReader(zeros{}, size), &out, &errs
			if err := cmd.Run(); err != nil || out != size || errs != size {
				t.Errorf("%d and %d bytes, %v", out, errs, err)
			}
		})
		t.Run("stdin closed early by "+name, func(t *testing.T) {
			cmd := by(ctx, "head", "-c", "1")
			cmd.Stdin = io.LimitReader(zeros{}, 10<<20)
			if out, err := cmd.Output(); err != nil || len(out) != 1 {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
	for _, test := range []struct {
		name string
		run  func(context.Context, *testing.T, *nspawn.Machine)
	}{
		{"pipes", testOwnPipes},
		{"a child keeps stdout", testKeptPipe},
		{"own way to cancel", testOwnCancel},
		{"file and extra file", testExtraFile},
		{"many at once", testManyCommands},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(ctx, t, m) })
	}
}

func testOwnPipes(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	cmd := m.Command(ctx, "sh", "-c", "read x; echo got $x; echo err >&2")
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	errs, err3 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "it")
	got, _ := io.ReadAll(out)
	said, _ := io.ReadAll(errs)
	if err := cmd.Wait(); err != nil || string(got) != "got it\n" || string(said) != "err\n" {
		t.Errorf("%q, %q, %v", got, said, err)
	}
}

func testKeptPipe(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	cmd := m.Command(ctx, "sh", "-c", "sleep 1000 & echo started")
	var out bytes.Buffer
	cmd.Stdout, cmd.WaitDelay = &out, 50*time.Millisecond
	if err := cmd.Run(); out.String() != "started\n" || !errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func testOwnCancel(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := m.Command(ctx, "sh", "-c", "trap 'echo asked; exit 7' TERM; echo up; sleep 1000 & wait")
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second // the sleep keeps the pipe
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Scan()
	cancel()
	said.Scan()
	var exit *nspawn.ExitError
	if err := cmd.Wait(); said.Text() != "asked" || !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("%q, %v", said.Text(), err)
	}
}

func testExtraFile(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := m.Command(ctx, "sh", "-c", "echo three >&3")
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Run()
	w.Close()
	if got, _ := io.ReadAll(r); err != nil || string(got) != "three\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func testManyCommands(ctx context.Context, t *testing.T, m *nspawn.Machine) {
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			out, err := m.Command(ctx, "echo", itoa(i)).Output()
			if err != nil || string(out) != itoa(i)+"\n" {
				t.Errorf("%d: %q, %v", i, out, err)
			}
		})
	}
	all.Wait()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
