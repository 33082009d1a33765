package netsetup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"testing"
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
}

func applyAndWait(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	h, err := Open(Options{Netns: j.Netns, StateDir: j.StateDir})
	if err != nil {
		return err
	}
	if err := h.Apply(context.Background(), j.Network); err != nil {
		return err
	}
	os.Stdout.WriteString("applied\n")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}

// elsewhere applies the lab's network from another process and returns what
// kills it.
func (l *lab) elsewhere(t *testing.T) (kill func()) {
	t.Helper()
	text, err := json.Marshal(job{"/proc/self/fd/3", l.state, l.network})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "NETSETUP_TEST_APPLY="+string(text))
	cmd.ExtraFiles = []*os.File{l.host.file}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
		stdin.Close()
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the other process said %q: %v", line, err)
	}
	return kill
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
