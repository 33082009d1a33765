package archboot_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bootLimit is how long a machine may take to boot, log in and answer, on a busy
// test host.
const bootLimit = 3 * time.Minute

// A console is the console of a booted machine.
type console struct {
	t    *testing.T
	pty  *os.File
	cmd  *exec.Cmd
	seen bytes.Buffer // not yet matched
	all  bytes.Buffer
}

// boot starts the root with systemd-nspawn, in a network namespace, a cgroup and a
// pure cgroup v2 view of its own, and returns its console.
func boot(t *testing.T, root string) *console {
	t.Helper()
	for _, name := range []string{"systemd-nspawn", "unshare"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is missing: machines cannot be booted here", name)
		}
	}
	name := fmt.Sprintf("archboot-test-%d", os.Getpid())
	cgroup := makeCgroup(t, name)
	pty, terminal := openPTY(t)
	script := `echo $$ >"$CGROUP/cgroup.procs"
umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup &&
exec systemd-nspawn --register=no --keep-unit --boot --kill-signal=SIGRTMIN+4 --suppress-sync=yes \
	--capability=CAP_NET_ADMIN --resolv-conf=off --timezone=off --link-journal=no --machine="$1" --directory="$2"`
	cmd := exec.Command("unshare", "--mount", "--net", "--cgroup", "sh", "-c", script, "sh", name, root)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", "CGROUP=" + cgroup, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close()
	c := &console{t: t, pty: pty, cmd: cmd}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := pty.SetReadDeadline(time.Now().Add(bootLimit)); err != nil {
		t.Fatal(err)
	}
	return c
}

// makeCgroup makes a cgroup that is gone, with all that is in it, after the test.
func makeCgroup(t *testing.T, name string) string {
	t.Helper()
	top := "/sys/fs/cgroup"
	if _, err := os.Stat(top + "/unified/cgroup.procs"); err == nil {
		top += "/unified"
	} else if _, err := os.Stat(top + "/cgroup.controllers"); err != nil {
		t.Skip("no cgroup v2 hierarchy: machines cannot be booted here")
	}
	dir := filepath.Join(top, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("no cgroup of our own, machines cannot be booted here: %v", err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0); err != nil {
			t.Error(err)
		}
		var err error
		for range 1000 { // the kernel says nothing when the last process has left
			if err = removeCgroup(dir); err == nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Error(err)
	})
	return dir
}

func removeCgroup(dir string) error {
	children, _ := filepath.Glob(dir + "/*/cgroup.procs")
	for _, c := range children {
		if err := removeCgroup(filepath.Dir(c)); err != nil {
			return err
		}
	}
	return os.Remove(dir)
}

func openPTY(t *testing.T) (pty, terminal *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	pty = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { pty.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return pty, terminal
}

// expect reads until the machine has printed text, and returns what came before.
func (c *console) expect(text string) string {
	c.t.Helper()
	buf := make([]byte, 4096)
	for {
		if before, after, ok := bytes.Cut(c.seen.Bytes(), []byte(text)); ok {
			out := string(before)
			rest := bytes.Clone(after)
			c.seen.Reset()
			c.seen.Write(rest)
			return out
		}
		n, err := c.pty.Read(buf)
		c.seen.Write(buf[:n])
		c.all.Write(buf[:n])
		if err != nil {
			c.t.Fatalf("waiting for %q: %v; the console said:\n%s", text, err, c.all.Bytes())
		}
	}
}

func (c *console) send(text string) {
	c.t.Helper()
	if _, err := c.pty.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// login logs in as root at the prompt.
func (c *console) login(password string) {
	c.t.Helper()
	c.expect("login: ")
	c.send("root\n")
	c.expect("assword: ")
	c.send(password + "\n")
	c.expect("# ")
	// The echo of what is typed would look like its output.
	c.send("stty -echo; PS1=; export SYSTEMD_PAGER=cat PAGER=cat; echo re\"\"ady\n")
	c.expect("ready\r\n")
}

// run runs a command and returns what it printed.
func (c *console) run(command string) string {
	c.t.Helper()
	c.send(command + "; echo en\"\"d\n")
	out := c.expect("end\r\n")
	return strings.TrimSpace(strings.ReplaceAll(out, "\r\n", "\n"))
}

// poweroff stops the machine and waits for it.
func (c *console) poweroff() {
	c.t.Helper()
	c.send("poweroff\n")
	c.pty.SetReadDeadline(time.Now().Add(bootLimit))
	for buf := make([]byte, 4096); ; { // the console must be read for it to go on
		if _, err := c.pty.Read(buf); err != nil {
			break
		}
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("the machine ended with %v; the console said:\n%s", err, c.all.Bytes())
	}
}
