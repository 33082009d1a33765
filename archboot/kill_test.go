package archboot_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/archboot"
	"golang.org/x/sys/unix"
)

// An order is what a victim is told to do.
type order struct {
	Root   string
	Cache  string // make a base in it instead of the root
	Config archboot.Config
	Source archboot.Source // what JSON leaves out of the Config
	Dir    string          // package cache
	Umask  int             // of the process, as it is where zero
}

// beVictim does what standard input says, and prints a line for each event. It goes on
// when it is sent one.
func beVictim() int {
	var o order
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if o.Umask != 0 {
		unix.Umask(o.Umask)
	}
	o.Config.Source, o.Config.CacheDir = o.Source, o.Dir
	o.Config.Progress = func(e archboot.Event) {
		fmt.Println(e)
		if _, err := in.ReadString('\n'); err != nil {
			select {} // the end is near
		}
	}
	if o.Cache != "" {
		_, err = archboot.Cache{Dir: o.Cache}.Base(context.Background(), o.Config)
	} else {
		err = archboot.Bootstrap(context.Background(), o.Root, o.Config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A victim is a process that makes a root, and may be killed at each event.
type victim struct {
	cmd    *exec.Cmd
	events *bufio.Scanner
	step   io.WriteCloser
	said   strings.Builder
}

func newVictim(t *testing.T, o order) *victim {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=victim")
	v := &victim{cmd: cmd}
	cmd.Stderr = &v.said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	v.events = bufio.NewScanner(out)
	if v.step, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := json.NewEncoder(v.step).Encode(o); err != nil {
		t.Fatal(err)
	}
	return v
}

// killAt kills the victim at its nth event, and says what that was; nothing when the
// victim came to its end before.
func (v *victim) killAt(t *testing.T, n int) (event string) {
	t.Helper()
	for i := 0; v.events.Scan(); i++ {
		if i == n {
			event = v.events.Text()
			if err := v.cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			break
		}
		if _, err := io.WriteString(v.step, "\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.cmd.Wait(); err != nil && event == "" {
		t.Fatalf("not killed, and yet: %v\n%s", err, &v.said)
	}
	return event
}

// awaitNobody waits until the kernel has ended what was in the root's namespaces.
func awaitNobody(t *testing.T, root string) {
	t.Helper()
	for until := time.Now().Add(bootLimit); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if len(inhabitants(root)) == 0 {
			return
		}
	}
	t.Errorf("still at work in %s: %q", root, inhabitants(root))
}

// inhabitants are the command lines of the processes that have something mounted in
// the root.
func inhabitants(root string) []string {
	var list []string
	processes, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	for _, p := range processes {
		if data, err := os.ReadFile(p); err == nil && strings.Contains(string(data), root) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			list = append(list, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return list
}

// TestKilledAtEachStep kills a bootstrap by SIGKILL at each of its events. Nothing of
// it stays mounted or running, and the next run makes the same root.
func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	c := configFor(m)
	pool := btrfsPool(t)
	base := baseIn(t, pool, c)
	for name, o := range map[string]order{
		"pacman": {Config: c, Dir: t.TempDir()},
		"clone":  {Config: c, Source: archboot.Source{Base: base}},
	} {
		t.Run(name, func(t *testing.T) {
			whole := t.TempDir()
			plain := o.Config
			plain.Source, plain.CacheDir = o.Source, o.Dir
			if err := archboot.Bootstrap(t.Context(), whole, plain); err != nil {
				t.Fatal(err)
			}
			want, err := archboot.ReadManifest(t.Context(), whole)
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; ; n++ {
				o.Root = filepath.Join(pool, fmt.Sprint(name, n))
				if err := os.Mkdir(o.Root, 0o755); err != nil {
					t.Fatal(err)
				}
				event := newVictim(t, o).killAt(t, n)
				if event == "" {
					t.Logf("tally: archboot, killed in a bootstrap (%s): %d", name, n)
					break
				}
				awaitNobody(t, o.Root)
				if err := archboot.Identify(t.Context(), o.Root, archboot.Identity{}); err == nil {
					t.Errorf("killed at %q, the root passes for a finished one", event)
				}
				if err := archboot.Bootstrap(t.Context(), o.Root, plain); err != nil {
					t.Errorf("after being killed at %q: %v", event, err)
					continue
				}
				got, err := archboot.ReadManifest(t.Context(), o.Root)
				lines := want.Diff(got, append(archboot.VolatilePaths(), "/var/lib/systemd/random-seed"))
				if err != nil || len(lines) > 0 {
					t.Errorf("after being killed at %q: %q, %v", event, lines, err)
				}
			}
			left, _ := filepath.Glob(filepath.Join(pool, ".*"))
			if len(left) > 0 {
				t.Errorf("beside the roots: %q", left)
			}
		})
	}
	assertNoCgroups(t)
}

// TestUmask makes a root in a process whose files are for nobody else.
func TestUmask(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	c.NTP = []string{"ntp.prolo"}
	c.Files = []archboot.File{{Path: "/opt/x/y", Data: []byte("hello")}}
	roots := []string{t.TempDir(), t.TempDir()}
	var manifests []archboot.Manifest
	for i, umask := range []int{0o022, 0o077} {
		if event := newVictim(t, order{Root: roots[i], Config: c, Umask: umask}).killAt(t, math.MaxInt); event != "" {
			t.Fatal("killed at", event)
		}
		m, err := archboot.ReadManifest(t.Context(), roots[i])
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, m)
	}
	if lines := manifests[0].Diff(manifests[1], archboot.VolatilePaths()); len(lines) > 0 {
		t.Errorf("the umask is in the root:\n%s", strings.Join(lines, "\n"))
	}
}

// TestBaseKilledAtEachStep kills a cache's building of a base: half a base is never
// used, and the package cache stays good.
func TestBaseKilledAtEachStep(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	dir, packages := t.TempDir(), t.TempDir()
	for n := 0; ; n++ {
		event := newVictim(t, order{Config: c, Cache: dir, Dir: packages}).killAt(t, n)
		if event == "" {
			t.Logf("tally: archboot, killed while a base was made: %d", n)
			break
		}
		awaitNobody(t, dir)
		if bases, _ := filepath.Glob(filepath.Join(dir, "base-*")); len(bases) > 0 {
			t.Fatalf("killed at %q, there is a base: %q", event, bases)
		}
	}
	bases, _ := filepath.Glob(filepath.Join(dir, "base-*"))
	left, _ := filepath.Glob(filepath.Join(dir, ".*.new"))
	if len(bases) != 1 || len(left) > 0 {
		t.Errorf("in the end there are %q and %q", bases, left)
	}
	if problems, err := archboot.Verify(t.Context(), bases[0]); err != nil || len(problems) > 1 {
		t.Errorf("the base: %v, %v", problems, err)
	}
}

// assertNoCgroups wants every control group of a bootstrap to be gone that no
// bootstrap holds. Other tests may be at work.
func assertNoCgroups(t *testing.T) {
	t.Helper()
	if err := archboot.Bootstrap(t.Context(), t.TempDir(), configFor(synthetic(t))); err != nil {
		t.Fatal(err) // sweeps
	}
	for _, path := range archboot.ForgottenCgroups() {
		t.Errorf("control group %s was left", path)
	}
}
