package testhost_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/internal/testexec"
	"github.com/prologin/rig/internal/testhost"
)

// testhostCommand builds the program.
func testhostCommand(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "testhost")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/testhost").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// hold keeps a host up for the time of the test.
func hold(t *testing.T, cfg testhost.Config) {
	t.Helper()
	host := acquire(t, cfg)
	t.Cleanup(func() {
		if err := host.Release(context.Background()); err != nil {
			t.Error(err)
		}
		gone(t, host.Name())
	})
}

// script makes a program that runs both here and in the host.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	testexec.Write(t, path, []byte("#!/bin/sh\n"+text))
	return path
}

func TestExec(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	hold(t, cfg)
	program := testhostCommand(t)

	cmd := exec.Command(program, "-q", "exec",
		script(t, `echo "$*|$PWD|$RIG_TESTHOST|$GOMAXPROCS|$SECRET"; cat; echo oops >&2; exit 3`), "-test.v", "two words")
	cmd.Dir = cfg.Module
	cmd.Env = append(os.Environ(), "GOMAXPROCS=7", "SECRET=x")
	cmd.Stdin = strings.NewReader("input\n")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if want := "-test.v two words|" + cfg.Module + "|trixie|7|\ninput\n"; string(out) != want {
		t.Errorf("stdout %q, want %q", out, want)
	}
	if stderr.String() != "oops\n" {
		t.Errorf("stderr %q", stderr.String())
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("exit 3 came out as %v", err)
	}
}

func TestExecForwardsSignals(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	hold(t, cfg)
	program := testhostCommand(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
		cmd := exec.Command(program, "-q", "exec",
			script(t, `trap 'echo caught; exit 9' INT TERM QUIT; echo ready; while :; do sleep 0.1; done`))
		cmd.Dir = cfg.Module
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(stdout)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			t.Fatalf("it said %q, %v", line, err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); string(rest) != "caught\n" || cmd.ProcessState.ExitCode() != 9 {
			t.Errorf("%v: it said %q and ended with %v", sig, rest, err)
		}
	}
}
