package archtest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// machine is a booted root.
type machine struct {
	leader string // PID of its first process
}

// bootScript starts nspawn in a cgroup of its own with a pure cgroup v2 view,
// which the newest systemd insists on. It does without --suppress-sync, which takes
// openat2(2) away from the machine's programs.
const bootScript = `
umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup &&
echo 0 >"/sys/fs/cgroup/$2/cgroup.procs" &&
exec systemd-nspawn --quiet --register=no --keep-unit --boot --directory="$1" --machine="$2" \
	--network-veth --console=pipe --notify-ready=yes
`

// boot boots a root with systemd-nspawn in a network namespace of its own, waits
// until it is ready, and kills it when the test ends.
func boot(t *testing.T, root string) machine {
	t.Helper()
	name := fmt.Sprintf("at-%06d", time.Now().UnixNano()%1e6)
	group := makeCgroup(t, name)
	socket := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })

	cmd := exec.Command("sh", "-c", bootScript, "sh", root, name)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + socket, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"}
	var console bytes.Buffer
	cmd.Stdout, cmd.Stderr = &console, &console
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		notify.Close()
	}()
	t.Cleanup(func() {
		if err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0); err != nil {
			t.Error(err)
			cmd.Process.Kill()
		}
		<-ended
		if t.Failed() {
			t.Logf("console:\n%s", console.String())
		}
		os.RemoveAll("/run/systemd/nspawn/propagate/" + name)
	})
	return machine{leader: waitReady(t, notify)}
}

// waitReady reads notify messages until READY=1 and returns the leader's PID.
func waitReady(t *testing.T, notify *net.UnixConn) string {
	t.Helper()
	notify.SetReadDeadline(time.Now().Add(time.Minute))
	leader, buf := "", make([]byte, 4096)
	for {
		n, err := notify.Read(buf)
		if err != nil {
			t.Fatalf("the machine did not become ready: %v", err)
		}
		for line := range strings.Lines(string(buf[:n])) {
			line = strings.TrimSpace(line)
			if pid, ok := strings.CutPrefix(line, "X_NSPAWN_LEADER_PID="); ok {
				leader = pid
			}
			if line == "READY=1" && leader != "" {
				return leader
			}
		}
	}
}

// makeCgroup makes a cgroup in the unified hierarchy and removes it with what is
// in it when the test ends.
func makeCgroup(t *testing.T, name string) string {
	t.Helper()
	top := "/sys/fs/cgroup"
	if _, err := os.Stat(top + "/unified/cgroup.procs"); err == nil {
		top += "/unified"
	}
	group := filepath.Join(top, name)
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("needs a writable cgroup v2 hierarchy: %v", err)
	}
	t.Cleanup(func() {
		waitEmpty(t, group)
		removeDeepest(group)
		if _, err := os.Stat(group); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cgroup %s is still there", group)
		}
	})
	return group
}

// waitEmpty waits for the last process of a killed cgroup to be gone, of which the
// kernel tells by POLLPRI, cgroups(7).
func waitEmpty(t *testing.T, group string) {
	t.Helper()
	events, err := os.Open(filepath.Join(group, "cgroup.events"))
	if err != nil {
		t.Error(err)
		return
	}
	defer events.Close()
	for buf := make([]byte, 256); ; {
		n, err := events.ReadAt(buf, 0)
		if bytes.Contains(buf[:n], []byte("populated 0")) {
			return
		}
		poll := []unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}
		if ready, pollErr := unix.Poll(poll, 10_000); ready == 0 || n == 0 || pollErr != nil && pollErr != unix.EINTR {
			t.Errorf("processes are left in %s: %v, %v", group, err, pollErr)
			return
		}
	}
}

func removeDeepest(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeDeepest(filepath.Join(dir, e.Name()))
		}
	}
	syscall.Rmdir(dir)
}

// sh runs a shell script in the machine and returns what it prints.
func (m machine) sh(t *testing.T, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "nsenter", "--target", m.leader, "--mount", "--pid", "--uts",
		"--ipc", "--net", "--cgroup", "env", "-i", "PATH=/usr/local/bin:/usr/bin", "HOME=/root", "bash", "-euc", script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out)), err
}

func (m machine) mustSh(t *testing.T, script string) string {
	t.Helper()
	out, err := m.sh(t, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// netns is the path of the machine's network namespace.
func (m machine) netns() string { return "/proc/" + m.leader + "/ns/net" }
