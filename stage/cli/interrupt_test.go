package cli_test

import (
	"bufio"
	"context"
	"os"
	osexec "os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/stage/cli"
)

// stuck is set in the process that runs as a program which does not come to its end.
const stuck = "RIG_CLI_STUCK"

// TestSecondInterrupt: the first Ctrl-C ends the context, and one after it the process,
// whatever that is doing.
func TestSecondInterrupt(t *testing.T) {
	if os.Getenv(stuck) != "" {
		os.Args = os.Args[:1]
		p := program()
		p.Run = func(ctx context.Context, c *cli.Command) error {
			c.Say("at work")
			<-ctx.Done()
			c.Say("tidying up")
			select {}
		}
		os.Exit(cli.Main(p))
	}
	t.Parallel()
	cmd := osexec.Command(os.Args[0], "-test.run=^TestSecondInterrupt$")
	cmd.Env = append(os.Environ(), stuck+"=1")
	messages, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(messages)
	says := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("it says %q, not %q", lines.Text(), want)
		}
	}
	says("at work")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	says("tidying up")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// As somebody would who presses it until something happens: one that follows too soon is
	// taken for the first.
	for pressed := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-pressed.C:
			_ = cmd.Process.Signal(os.Interrupt)
		case err := <-ended:
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v", err)
			}
			return
		}
	}
}
