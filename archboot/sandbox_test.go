package archboot_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

// TestSandbox looks at who asks the mirror for packages: with pacman 7 a process of
// the account for downloads, with an older one root, and that is said.
func TestSandbox(t *testing.T) {
	t.Parallel()
	needRoot(t)
	if _, err := exec.LookPath("pacman"); err != nil {
		t.Skip("pacman is missing")
	}
	alpm, err := user.Lookup("alpm")
	version, _ := exec.Command("pacman", "--version").Output()
	capable := err == nil && !strings.Contains(string(version), "Pacman v6.")
	m := synthetic(t)
	var asked, byUser atomic.Int64
	m.Inject("*.pkg.tar.zst", func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if capable && programOf(alpm.Uid, "pacman") {
				byUser.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	closed := t.TempDir()
	open := filepath.Join(closed, "root")
	for _, test := range []struct {
		mode os.FileMode
		says string
	}{{0o755, "fetch packages as user alpm, confined by Landlock"}, {0o700, "alpm may not pass through " + filepath.Dir(closed)}} {
		// The directory that testing makes for all of a test's is closed to others.
		if err := os.Chmod(filepath.Dir(closed), test.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(open, 0o755); err != nil {
			t.Fatal(err)
		}
		if !capable {
			test.says = "fetch packages as root: "
		}
		var said strings.Builder
		c := configFor(m)
		c.Progress = func(e archboot.Event) { fmt.Fprintln(&said, e) }
		asked.Store(0)
		byUser.Store(0)
		if err := archboot.Bootstrap(t.Context(), open, c); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(said.String(), test.says) {
			t.Errorf("%q was not said:\n%s", test.says, &said)
		}
		if want := capable && test.mode == 0o755; want != (byUser.Load() > 0) || asked.Load() == 0 {
			t.Errorf("%d of %d requests came when a process of the user was there", byUser.Load(), asked.Load())
		}
		if err := os.RemoveAll(open); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("pacman with sandbox: %v", capable)
}

// programOf finds out whether a user runs a program.
func programOf(uid, name string) bool {
	status, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range status {
		data, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(data), "Name:\t"+name+"\n") && strings.Contains(string(data), "\nUid:\t"+uid+"\t") {
			return true
		}
	}
	return false
}

// TestNewestPacmanAsHost runs other tests in a root of the mirror, as on an Arch host:
// its pacman 7 is the host's then.
func TestNewestPacmanAsHost(t *testing.T) {
	t.Parallel()
	needRoot(t)
	suites := []archtest.Suite{archtest.Trixie}
	if os.Getenv("RIG_SUITES") == "all" {
		suites = append(suites, archtest.Sid)
	}
	for _, suite := range suites {
		t.Run(string(suite), func(t *testing.T) {
			m := debianMirror(t, suite)
			m.Inject("*.db.sig", archtest.Status(404)) // Arch signs no databases
			c := bootstrapConfig(m)
			c.Locale = ""
			for i := range c.Repositories {
				c.Repositories[i].SigLevel = "Required DatabaseOptional"
			}
			host := t.TempDir()
			if err := archboot.Bootstrap(t.Context(), host, c); err != nil {
				t.Fatal(err)
			}
			const script = `cd "$1"
mount --rbind "$1" "$1"
cd "$1"
mount --rbind /dev dev; mount --rbind /sys sys; mount -t proc proc proc; mount -t tmpfs tmpfs tmp; chmod 1777 tmp
cp "$2" tmp/archboot.test
exec chroot . /usr/bin/env -i PATH=/usr/bin TMPDIR=/tmp ARCHBOOT_ON_ARCH=1 /tmp/archboot.test -test.v -test.run "$3"`
			tests := []string{"TestBootstrapSynthetic", "TestSandbox", "TestMirrorFaults", "TestFallbackMirror", "TestCacheTampered", "TestExpiredKey", "TestAsArchHost"}
			cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", script, "sh", host, "", "^("+strings.Join(tests, "|")+")$")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Args[len(cmd.Args)-2] = self
			out, err := cmd.CombinedOutput()
			for _, name := range append(tests, "sandbox: true") {
				if want := "--- PASS: " + name + " "; name[0] == 'T' && !strings.Contains(string(out), want) || !strings.Contains(string(out), name) {
					t.Errorf("%s did not pass", name)
				}
			}
			if err != nil || t.Failed() {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestAsArchHost gives no repositories and no keys: those of the host are used. Another
// test makes a host of Arch's kind and runs this one there.
func TestAsArchHost(t *testing.T) {
	t.Parallel()
	if os.Getenv("ARCHBOOT_ON_ARCH") == "" {
		t.Skip("this is no Arch host, or not ours")
	}
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, archboot.Config{Packages: []string{"base", "openssh"}, Hostname: "gw"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usr/bin/sshd", "etc/systemd/system/multi-user.target.wants/sshd.service", "etc/pacman.d/gnupg/trustdb.gpg"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
	mirrors, err := os.ReadFile(filepath.Join(root, "etc/pacman.d/mirrorlist"))
	if err != nil || !strings.Contains(string(mirrors), "Server = http://127.0.0.1") {
		t.Errorf("the machine's mirrors: %q, %v", mirrors, err)
	}
}
