package nspawntest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// testUserNamespace runs commands where Command cannot join.
func testUserNamespace(t *testing.T, s *suite) {
	for name, users := range map[string]nspawn.Users{
		"identity": {Mode: nspawn.UsersIdentity},
		"range":    {Mode: nspawn.UsersRange, Base: 655360},
	} {
		mapped := users.Mode == nspawn.UsersRange // nspawn maps binds onto no other
		root := copyOf(t, s.root(t))              // an overlay cannot be mapped
		shared := t.TempDir()
		writeFile(t, shared, "file", "of root")
		m, err := s.host.Start(testContext(t), nspawn.Config{
			Name: s.name("users-" + name), Root: root, SuppressSync: true, Users: users,
			Binds: []nspawn.Bind{{Source: shared, Target: "/mnt", IDMap: mapped}},
		})
		if err != nil {
			t.Logf("%s: this host cannot: %v", name, err)
			continue
		}
		if err := m.WaitReady(testContext(t)); err != nil {
			t.Error(err)
		}
		out, err := m.Command(testContext(t), "sh", "-c", "id -u; cat /proc/self/uid_map; exit 3").Output()
		var exit *nspawn.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.HasPrefix(string(out), "0\n") || !strings.Contains(string(out), "65536") {
			t.Errorf("%s: %q, %v", name, out, err)
		}
		var typed bytes.Buffer
		keys := strings.NewReader("echo sum $((40+2)) on $(tty) as $(id -un) in $0; exit 0\n")
		if err := m.Shell(testContext(t), nspawn.ShellOptions{Stdin: keys, Stdout: &typed}); err != nil ||
			!strings.Contains(typed.String(), "sum 42 on /dev/pts/") || !strings.Contains(typed.String(), "as root in -") {
			t.Errorf("%s: shell: %v, %q", name, err, typed.String())
		}
		for _, running := range []bool{true, false} {
			if !running {
				if err := m.Stop(testContext(t)); err != nil {
					t.Error(err)
				}
			}
			if err := errors.Join(m.MkdirAll("/srv/mapped", 0o755), m.WriteFileAs("nobody:games", "/srv/mapped/file", []byte("x"), 0o640)); err != nil {
				t.Errorf("%s: files, running %v: %v", name, running, err)
			}
			if running {
				out, err := m.Command(testContext(t), "sh", "-c", "stat -c %U:%G /srv/mapped /srv/mapped/file /mnt/file; echo x >/mnt/new").Output()
				if info, statErr := os.Stat(filepath.Join(shared, "new")); statErr != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
					t.Errorf("%s: by an idmapped bind: %v, %v", name, info, statErr)
				}
				if err != nil || string(out) != "root:root\nnobody:games\nroot:root\n" {
					t.Errorf("%s: owners: %q, %v", name, out, err)
				}
			}
		}
	}
}
