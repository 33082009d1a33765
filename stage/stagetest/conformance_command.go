package stagetest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

func runsCommands(ctx context.Context, t *testing.T, m stage.Machine) {
	for _, code := range []string{"0", "1", "3", "255"} {
		err := m.Exec(ctx, stage.Command{Args: []string{"sh", "-c", "exit " + code}})
		if code == "0" && err != nil || code != "0" && stage.ExitCode(err) < 1 {
			t.Errorf("exit %s: %v", code, err)
		}
	}
	if err := m.Exec(ctx, stage.Command{Args: []string{"/no/such/program"}}); err == nil {
		t.Error("a missing program: no error")
	}
	var stdout, stderr bytes.Buffer
	args := []string{"sh", "-c", `cat; echo "$1" >&2`, "name", "$HOME 'x'\n\""}
	data := strings.Repeat("\x00\xff binary\n", 50_000)
	err := m.Exec(ctx, stage.Command{Args: args, Stdin: strings.NewReader(data), Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		t.Fatal(err)
	}
	if stdout.String() != data {
		t.Errorf("%d bytes came back of %d", stdout.Len(), len(data))
	}
	if want := args[4] + "\n"; stderr.String() != want {
		t.Errorf("standard error %q, want %q", stderr.String(), want)
	}
}

func addsToEnvironment(ctx context.Context, t *testing.T, m stage.Machine) {
	out, err := output(ctx, m, stage.Command{Args: []string{"sh", "-c", `echo "$A in $PWD"; cat /dev/null`}, Env: []string{"A=b c"}, Dir: "/usr"})
	if err != nil || out != "b c in /usr\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func runsSideBySide(ctx context.Context, t *testing.T, m stage.Machine) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := output(ctx, m, stage.Command{Args: []string{"sleep", "0.1"}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func killsWithChildren(ctx context.Context, t *testing.T, m stage.Machine) {
	ctx, cancel := context.WithCancel(ctx)
	started := make(chan bool)
	done := make(chan error, 1)
	go func() {
		// The child keeps the output open after its parent's death.
		done <- m.Exec(ctx, stage.Command{Args: []string{"sh", "-c", "sleep 1000 & echo started; wait"}, Stdout: notify{started}})
	}()
	select {
	case <-started:
	case err := <-done:
		t.Fatalf("it ended: %v", err)
	}
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a killed command has no error")
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// notify is a Writer that tells of its first use.
type notify struct{ c chan bool }

func (n notify) Write(p []byte) (int, error) {
	close(n.c)
	return len(p), nil
}

func output(ctx context.Context, m stage.Machine, c stage.Command) (string, error) {
	var out bytes.Buffer
	c.Stdout = &out
	err := m.Exec(ctx, c)
	return out.String(), err
}
