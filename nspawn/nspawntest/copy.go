package nspawntest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// testOwners makes files of several owners, on a running machine and on the root
// of an ended one.
func testOwners(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("owners")})
	shell(t, m, "echo ann:x:1234:1235::/home/ann:/bin/sh >>/etc/passwd; echo crew:x:4321: >>/etc/group")
	useOwners(t, m)
	if got := shell(t, m, "cd /srv; stat -c %U:%g:%a ann number given link; cat log"); got !=
		"ann:1235:640\nUNKNOWN:4321:600\nann:4321:600\nann:1235:777\none\ntwo" {
		t.Errorf("in the machine: %s", got)
	}
	if err := m.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	useOwners(t, m)
}

func useOwners(t *testing.T, m *nspawn.Machine) {
	t.Helper()
	for _, err := range []error{
		m.RemoveAll("/srv"), m.MkdirAll("/srv", 0o755),
		m.WriteFileAs("ann", "/srv/ann", nil, 0o640),
		m.WriteFileAs("77:crew", "/srv/number", nil, 0o600),
		m.WriteFile("/srv/given", nil, 0o600), m.Chown("/srv/given", "1234:crew"),
		m.Symlink("/etc/shadow", "/srv/link"), m.Chown("/srv/link", "ann"),
		m.AppendFile("/srv/log", []byte("one\n"), 0o600), m.AppendFile("/srv/log", []byte("two\n"), 0o600),
		m.WriteFile("/srv/goes", nil, 0o600), m.Remove("/srv/goes"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.WriteFileAs("nobody-here", "/srv/x", nil, 0o600); !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("unknown user: %v", err)
	}
	if err := m.WriteFileAs("ann:no-such-group", "/srv/x", nil, 0o600); !errors.Is(err, nspawn.ErrNotFound) {
		t.Errorf("unknown group: %v", err)
	}
	if err := m.Remove("/srv/goes"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second Remove: %v", err)
	}
	info, err := m.Stat("/srv/ann")
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1234 || stat.Gid != 1235 {
		t.Errorf("on the host: %d:%d", stat.Uid, stat.Gid)
	}
}

func testCopies(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("copies")})
	ctx := testContext(t)
	source, target := t.TempDir(), t.TempDir()
	writeFile(t, source, "tree/deep/file", strings.Repeat("content", 100_000))
	writeFile(t, source, "tree/tool", "#!/bin/sh\necho ran\n")
	symlink(t, "/etc/passwd", source, "tree/link")
	if err := os.Chmod(filepath.Join(source, "tree/tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.CopyIn(ctx, filepath.Join(source, "tree"), "/srv/tree", "nobody"); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, m, "cd /srv/tree; ./tool; readlink link; stat -c %U tool deep deep/file link; wc -c <deep/file"); got !=
		"ran\n/etc/passwd\nnobody\nnobody\nnobody\nnobody\n700000" {
		t.Errorf("in the machine: %s", got)
	}
	shell(t, m, "mkfifo /srv/tree/fifo; rm -r /srv/tree/deep; ln -s /proc/1/root /srv/tree/deep")
	if err := m.CopyOut(ctx, "/srv/tree", filepath.Join(target, "back")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(target, "back/tool"))
	if err != nil || info.Mode() != 0o755 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
		t.Errorf("copied out: %v, %v", info, err)
	}
	if link, err := os.Readlink(filepath.Join(target, "back/deep")); err != nil || link != "/proc/1/root" {
		t.Errorf("a link copied out: %q, %v", link, err)
	}
	if err := m.CopyIn(ctx, filepath.Join(source, "none"), "/srv/none", ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing source: %v", err)
	}
	if err := m.CopyOut(ctx, "/srv/none", filepath.Join(target, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing in the machine: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.CopyIn(over, source, "/srv/late", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context: %v", err)
	}
}

// testFullDisk wants what there was to survive a disk without space.
func testFullDisk(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("full"), Tmpfs: []nspawn.Tmpfs{{Target: "/mnt", Options: "size=64k,mode=0755"}}})
	old := []byte("the old content")
	if err := m.WriteFile("/mnt/file", old, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"WriteFile":  m.WriteFile("/mnt/file", make([]byte, 1<<20), 0o600),
		"CopyIn":     m.CopyIn(testContext(t), large, "/mnt/file", ""),
		"AppendFile": m.AppendFile("/mnt/log", make([]byte, 1<<20), 0o600),
	} {
		if !errors.Is(err, unix.ENOSPC) || !errors.As(err, new(*nspawn.Error)) || !strings.Contains(err.Error(), m.Name()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if data, err := m.ReadFile("/mnt/file"); err != nil || !bytes.Equal(data, old) {
		t.Errorf("the old file: %q, %v", data, err)
	}
	if got := shell(t, m, "ls -A /mnt"); got != "file\nlog" {
		t.Errorf("left behind: %s", got)
	}
}
