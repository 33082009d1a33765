package archtest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/archboot/archtest"
)

// debianMirror starts a mirror of a Debian suite from the cache that RIG_CACHE
// names, or from the default one. Those without add-ons of their own share a build
// with the other tests of this module.
func debianMirror(t *testing.T, o archtest.Options) *archtest.Mirror {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a distribution")
	}
	o.CacheDir = os.Getenv("RIG_CACHE")
	if o.AddOns == nil {
		o.AddOns = []string{"bind", "nginx"}
	}
	o.Progress = func(e archtest.Event) {
		if e.Phase != "packages" || e.Done == e.Total {
			t.Logf("%s: %s", e.Phase, e.Message)
		}
	}
	return archtest.NewMirror(t, o)
}

// everySuite reports whether the slow tests are wanted: those of suites other than
// the default, of which each needs a mirror of its own.
func everySuite() bool { return os.Getenv("RIG_SUITES") == "all" }

func suites() []archtest.Suite {
	if everySuite() {
		return []archtest.Suite{archtest.Trixie, archtest.Bookworm, archtest.Sid}
	}
	return []archtest.Suite{archtest.Trixie}
}

// need skips a test that cannot run here.
func need(t *testing.T, programs ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs the program %s", p)
		}
	}
}

// run runs a program in a clean environment and PID namespace, so that no
// gpg-agent outlives it, and returns what it prints.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	script := `mount -t proc proc /proc && "$@"`
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh", name}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/root", "LC_ALL=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC, Unshareflags: syscall.CLONE_NEWNS,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func mustRun(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := run(t, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// host is a pacman set up to trust a mirror and to use nothing else: it runs in a
// network namespace where there is nothing else, since pacman asks key servers of
// the internet for keys that it does not know.
type host struct {
	dir, conf, root string
	netns           *os.File
}

func newHost(t *testing.T, m *archtest.Mirror) host {
	t.Helper()
	if _, err := os.Stat("/usr/share/makepkg/util/message.sh"); err != nil {
		t.Skip("pacman-key needs makepkg's shell library: Debian's package makepkg")
	}
	dir := t.TempDir()
	h := host{dir: dir, conf: filepath.Join(dir, "pacman.conf"), root: filepath.Join(dir, "root"), netns: newNetns(t)}
	gpg := filepath.Join(dir, "gnupg")
	for _, d := range []string{gpg, h.root, filepath.Join(h.root, "var/lib/pacman")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "pacman-key", "--gpgdir", gpg, "--init")
	mustRun(t, "pacman-key", "--gpgdir", gpg, "--add", m.PublicKeyFile())
	mustRun(t, "pacman-key", "--gpgdir", gpg, "--lsign-key", m.Fingerprint())
	h.use(t, m)
	return h
}

// use writes a pacman.conf for a mirror.
func (h host) use(t *testing.T, m *archtest.Mirror) {
	t.Helper()
	url, err := m.Listen(t.Context(), "127.0.0.1:0", fmt.Sprintf("/proc/self/fd/%d", h.netns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	conf := "[options]\nArchitecture = x86_64\nGPGDir = " + h.dir + "/gnupg\nCacheDir = " + h.dir + "/pkg\n" +
		"HookDir = " + h.root + "/usr/share/libalpm/hooks\n\n" + strings.ReplaceAll(m.PacmanConf(), m.URL, url)
	if err := os.WriteFile(h.conf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in the host's network namespace.
func (h host) run(t *testing.T, name string, args ...string) (out string, err error) {
	t.Helper()
	inNetns(t, h.netns, func() { out, err = run(t, name, args...) })
	return out, err
}

// pacman runs the host's pacman on the root.
func (h host) pacman(t *testing.T, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"--root", h.root, "--config", h.conf, "--noconfirm"}, args...)
	return h.run(t, "pacman", args...)
}

// newNetns makes a network namespace with nothing but loopback.
func newNetns(t *testing.T) *os.File {
	t.Helper()
	var file *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			return fmt.Errorf("ip link: %w: %s", err, out)
		}
		var err error
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// inNetns calls f on a thread that joined the namespace.
func inNetns(t *testing.T, netns *os.File, f func()) {
	t.Helper()
	err := onThread(func() error {
		if err := unix.Setns(int(netns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		f()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// onThread calls f on a thread that ends with it.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go leaveMainThread(func() { done <- f() })
	return <-done
}

// leaveMainThread calls f on a thread that ends with it, which the main one cannot.
func leaveMainThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		go leaveMainThread(f)
		runtime.UnlockOSThread()
		return
	}
	f()
}
