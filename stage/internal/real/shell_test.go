package real

import (
	"context"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/cli"
	"github.com/prologin/rig/stage/step"
)

// prompt is root's.
const prompt = "# "

// TestShellAfterFailure is a person at a terminal who is given a shell in a machine whose
// stage failed, while another machine goes on, and who leaves it.
func TestShellAfterFailure(t *testing.T) {
	ticks := "i=0; while [ $i -lt 40 ]; do echo tick $i; i=$((i+1)); sleep 0.05; done"
	program := programOf(
		setup("gw", stage.Stage{Name: "half", Steps: []stage.Step{step.Script{Text: "echo half done >/srv/half; exit 7"}}}),
		setup("web", stage.Stage{Name: "ticks", Steps: []stage.Step{step.Script{Text: ticks}}}),
	)
	if os.Getenv(atTerminal) != "" {
		program(t, cli.Failed, map[string]bool{"gw": false, "web": true}, "-on-failure", "shell")
		return
	}
	term := openTerminal(t)
	cmd := term.start()
	term.await("leave it with exit")
	term.await(prompt)
	for _, at := range []struct{ typed, shown string }{
		{"stty size", "31 97"},
		{"cat /srv/half", "half done"},
		{"echo $((6*7)); cat /dev/null", "42"},
	} {
		term.enter(at.typed + "\r")
		term.await(at.typed) // its echo
		term.await(at.shown)
		term.await(prompt)
	}
	if picture := regexp.MustCompile(`\x1b\[\d+A\r\x1b\[J`); picture.MatchString(term.since("leave it with exit")) {
		t.Errorf("the picture of the machines was drawn over the shell: %q", term.since("leave it with exit"))
	}
	term.enter("exit\r")
	term.await("exit status 7")
	term.await("to look around")
	term.ends(cmd)
}

// TestInterruptedAtTerminal presses Ctrl-C in the middle of a step. The terminal is none of
// the step's own, which would fail of it before the program knows, and could read there.
func TestInterruptedAtTerminal(t *testing.T) {
	hangs := "read -r pid comm state parent group session tty rest </proc/self/stat\necho hanging at $tty; sleep 4711"
	program := programOf(setup("gw", stage.Stage{Name: "hangs", Steps: []stage.Step{step.Script{Text: hangs}}}))
	if os.Getenv(atTerminal) != "" {
		program(t, cli.Interrupted, map[string]bool{"gw": false})
		return
	}
	term := openTerminal(t)
	cmd := term.start()
	term.await("hanging at 0\x1b")
	term.enter("\x03")
	term.await("prog: interrupted; run it again to go on")
	term.ends(cmd)
	if said := term.since("hanging at 0"); strings.Count(said, "prog: ") != 1 {
		t.Errorf("what it says besides is of no interest to whoever has interrupted it: %q", said)
	}
}

func setup(machine string, stages ...stage.Stage) stage.Setup {
	return stage.Setup{Machine: machine, Stages: stages}
}

// programOf returns a program for these machines. It is called with the exit status that
// it should have, and whether the machines are up afterwards.
func programOf(setups ...stage.Setup) func(t *testing.T, status int, up map[string]bool, args ...string) {
	return func(t *testing.T, status int, up map[string]bool, args ...string) {
		s := newSite(t, 4<<30, stage.Plan{Name: "lab", Setups: setups})
		s.lab.Out = os.Stdout
		program := cli.Program{
			Name: "prog", Plan: func() (stage.Plan, error) { return s.plan, nil },
			Run: func(ctx context.Context, c *cli.Command) error {
				opened, err := stage.Open(s.plan, c.Options(stage.Options{StateDir: s.opts.StateDir, Targets: s.opts.Targets, Shell: s.lab.Shell}))
				if err != nil {
					return err
				}
				return c.Do(ctx, opened)
			},
		}
		ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if got := program.Exec(ctx, args, os.Stdout, os.Stderr); got != status {
			t.Errorf("exit status %d, want %d", got, status)
		}
		for machine, want := range up {
			if got, err := s.opts.Targets[machine].Machine.Running(t.Context()); err != nil || got != want {
				t.Errorf("afterwards %s is up: %v, %v; want %v", machine, got, err, want)
			}
		}
	}
}
