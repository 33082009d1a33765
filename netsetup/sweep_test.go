package netsetup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a program that applies a network and then
// waits to be killed.
func TestMain(m *testing.M) {
	if job := os.Getenv("NETSETUP_TEST_APPLY"); job != "" {
		if err := applyAndWait(job); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

type job struct {
	Netns, StateDir string
	Network         Network
	KillApply       int // the change of Apply at which to die; 0 is none
	KillRemove      int // likewise of Remove
	Nftables        bool
}

// killer is a log handler that kills the process at one of its records: after a
// change is written down and before it is made, or the other way round.
type killer struct {
	slog.Handler
	left int
}

func (k *killer) Handle(context.Context, slog.Record) error {
	if k.left--; k.left == 0 {
		unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	return nil
}

func applyAndWait(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	death := &killer{slog.NewTextHandler(io.Discard, nil), j.KillApply}
	h, err := Open(Options{Netns: j.Netns, StateDir: j.StateDir, Nftables: j.Nftables, Logger: slog.New(death)})
	if err != nil {
		return err
	}
	if err := h.Apply(context.Background(), j.Network); err != nil {
		return err
	}
	if j.KillApply > 0 {
		return errors.New("survived")
	}
	if death.left = j.KillRemove; j.KillRemove > 0 {
		return h.Remove(context.Background(), j.Network.Bridge)
	}
	defer h.Close()
	os.Stdout.WriteString("applied\n")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// start starts another process that does a job in the lab's host.
func (l *lab) start(t *testing.T, j job) (cmd *exec.Cmd, stdout io.Reader) {
	t.Helper()
	j.Netns, j.StateDir, j.Network = "/proc/self/fd/3", l.state, l.network
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "NETSETUP_TEST_APPLY="+string(text))
	cmd.ExtraFiles = []*os.File{l.host.file}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, stdout
}

// elsewhere applies the lab's network from another process and returns what
// kills it.
func (l *lab) elsewhere(t *testing.T) (kill func()) {
	t.Helper()
	cmd, stdout := l.start(t, job{})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the other process said %q: %v", line, err)
	}
	return func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
}

func TestSweepTakesOnlyTheDead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.host.picture(t)
	kill := l.elsewhere(t)
	h := l.host.open(t, l.state)

	swept, err := h.Sweep(t.Context())
	if err != nil || len(swept) != 0 {
		t.Errorf("swept %v (%v) from under a living program", swept, err)
	}
	checkVerified(t, h, l.network)
	var busy *BusyError
	if err := h.Remove(t.Context(), l.network.Bridge); !errors.As(err, &busy) || len(busy.PIDs) != 1 {
		t.Errorf("removing what another program uses: %v, want a BusyError with its PID", err)
	}
	h.release(l.network.Bridge)

	kill()
	swept, err = h.Sweep(t.Context())
	if err != nil || !slices.Equal(swept, []string{l.network.Bridge}) {
		t.Errorf("swept %v (%v), want the dead program's network", swept, err)
	}
	before.compare(t, l.host.picture(t))
	checkEmpty(t, l.state)
}

func TestSweepKeepsWhatIsMeantToStay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network.Keep = true
	kill := l.elsewhere(t)
	kill()
	h := l.host.open(t, l.state)
	if swept, err := h.Sweep(t.Context()); err != nil || len(swept) != 0 {
		t.Errorf("swept %v (%v), which was to be kept", swept, err)
	}
	checkVerified(t, h, l.network)
	if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
		t.Error(err)
	}
	checkEmpty(t, l.state)
}

// everything is a network with one of each kind of object.
func (l *lab) everything() {
	l.network.Prefixes = append(l.network.Prefixes, netip.MustParsePrefix("fd10::1/64"))
	l.network.Pairs = []Pair{{Machine: "gw"}}
	l.network.Taps = []Tap{{Name: "vnet0"}}
	l.network.Isolation = Isolation{true, true, true}
	l.network.Forwards = []Forward{{"tcp", netip.MustParseAddrPort("0.0.0.0:8080"), netip.MustParseAddrPort(machineAddr + ":80")}}
}

func TestSweepAfterDeathAtEveryStep(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("dies some sixty times")
	}
	for name, death := range map[string]func(int) job{
		"Apply":                func(step int) job { return job{KillApply: step} },
		"Remove":               func(step int) job { return job{KillRemove: step} },
		"Apply with nftables":  func(step int) job { return job{KillApply: step, Nftables: true} },
		"Remove with nftables": func(step int) job { return job{KillRemove: step, Nftables: true} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.everything()
			before := l.host.picture(t)
			h := l.host.open(t, l.state)
			for step := 1; ; step++ {
				cmd, stdout := l.start(t, death(step))
				said, _ := io.ReadAll(stdout)
				cmd.Wait()
				died := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
				if !died && step < 5 {
					t.Fatalf("step %d: the process said %q and ended with %v", step, said, cmd.ProcessState)
				}
				if !died {
					t.Logf("tally: netsetup, killed in %s: %d", name, step-1)
					break
				}
				swept, err := h.Sweep(t.Context())
				if err != nil || !slices.Equal(swept, []string{l.network.Bridge}) {
					t.Fatalf("step %d: swept %v (%v)", step, swept, err)
				}
				before.compare(t, l.host.picture(t))
				checkEmpty(t, l.state)
			}
		})
	}
}

func TestApplyFinishesWhatADeadProgramBegan(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.everything()
	before := l.host.picture(t)
	h := l.host.open(t, l.state)
	for _, step := range []int{1, 8, 20, 31} {
		cmd, _ := l.start(t, job{KillApply: step})
		cmd.Wait()
		l.apply(t, h)
		checkVerified(t, h, l.network)
		if err := h.Remove(t.Context(), l.network.Bridge); err != nil {
			t.Fatal(err)
		}
		before.compare(t, l.host.picture(t))
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	before := l.host.picture(t)
	var group errgroup.Group
	hosts := make([]*Host, 4)
	for i := range hosts {
		hosts[i] = l.host.open(t, l.state)
		n := l.network
		if i%2 == 1 { // two of one network and two of another
			n.Bridge, n.Prefixes = "vz-two", []netip.Prefix{netip.MustParsePrefix("10.1.0.1/24")}
		}
		group.Go(func() error { return hosts[i].Apply(t.Context(), n) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	checkVerified(t, hosts[1], l.network)
	for _, h := range hosts {
		h.Close()
	}
	h := l.host.open(t, l.state)
	swept, err := h.Sweep(t.Context())
	if err != nil || len(swept) != 2 {
		t.Errorf("swept %v (%v), want both networks", swept, err)
	}
	before.compare(t, l.host.picture(t))
}
