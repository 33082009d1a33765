package nspawntest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

// testEscapes plants traps in the machine's tree, and uses each of the file
// operations on them, while the machine runs and after. No file of the host may
// be read or written, and nothing may hang.
func testEscapes(t *testing.T, s *suite) {
	root := s.root(t)
	secret := filepath.Join(t.TempDir(), "secret")
	outside := []byte("the host's own\n")
	if err := os.WriteFile(secret, outside, 0o600); err != nil {
		t.Fatal(err)
	}
	before := listOf(t, filepath.Dir(secret))
	traps := plantTraps(t, root, secret)
	m := s.boot(t, nspawn.Config{Name: s.name("escape"), Root: root})
	for _, running := range []bool{true, false} {
		if !running {
			if err := m.Stop(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range traps {
			plantTraps(t, root, secret) // the last name's may be sprung
			tryEscape(t, m, name, outside)
			if data, err := os.ReadFile(secret); err != nil || !bytes.Equal(data, outside) {
				t.Fatalf("by %q the host's file was written: %q, %v", name, data, err)
			}
		}
		if after := listOf(t, filepath.Dir(secret)); after != before {
			t.Errorf("beside the host's file: %s, before: %s", after, before)
		}
	}
	t.Logf("tally: nspawn, traps for file operations: %d", 2*len(traps))
}

// listOf is a directory's entries with their modes and owners.
func listOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprint(info.Name(), info.Mode(), info.Sys().(*syscall.Stat_t).Uid))
	}
	return strings.Join(list, ", ")
}

// plantTraps makes links, fifos, sockets and devices, and returns names that
// lead into them.
func plantTraps(t *testing.T, root, secret string) (names []string) {
	t.Helper()
	dir := filepath.Join(root, "traps")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	up := "../../../../../../../../../../../.."
	for i, target := range []string{
		secret, up + secret, "/proc/1/root" + secret, "/proc/self/root" + secret, "/proc/self/cwd" + up + secret,
		"/proc/thread-self/root" + secret, "/./.././" + secret, "loop", "../traps/loop", "/traps/loop",
	} {
		name := fmt.Sprintf("link%d", i)
		symlink(t, target, root, "traps/"+name)
		names = append(names, "/traps/"+name, "traps/"+name, "/traps/../traps/"+name)
	}
	symlink(t, "loop", root, "traps/loop")
	for i, target := range []string{filepath.Dir(secret), up + filepath.Dir(secret), "/proc/1/root" + filepath.Dir(secret), "/", up} {
		name := fmt.Sprintf("dir%d", i)
		symlink(t, target, root, "traps/"+name)
		base := filepath.Base(secret)
		if i > 2 {
			base = secret
		}
		names = append(names, "/traps/"+name+"/"+base, "/traps/"+name+"/"+up+secret)
	}
	for name, mode := range map[string]uint32{"fifo": unix.S_IFIFO, "socket": unix.S_IFSOCK, "tty": unix.S_IFCHR, "disk": unix.S_IFBLK} {
		if err := unix.Mknod(filepath.Join(dir, name), mode|0o666, int(unix.Mkdev(5, 0))); err != nil {
			t.Fatal(err)
		}
		names = append(names, "/traps/"+name)
		symlink(t, name, root, "traps/to-"+name)
		names = append(names, "/traps/to-"+name)
	}
	return append(names, secret, up+secret, "/.."+secret, "/../../.."+secret, "", "/", "/traps/\x00"+secret)
}

// tryEscape uses every operation on one trap.
func tryEscape(t *testing.T, m *nspawn.Machine, name string, outside []byte) {
	t.Helper()
	done := make(chan struct{})
	ctx, out := testContext(t), filepath.Join(t.TempDir(), "out")
	mine := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(mine, []byte("written by a link of the machine"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(way string, data []byte, err error) {
		if err == nil && bytes.Equal(data, outside) {
			t.Errorf("%s of %q reads the host's file", way, name)
		}
	}
	go func() {
		defer close(done)
		data, err := m.ReadFile(name)
		read("ReadFile", data, err)
		data, err = fs.ReadFile(m.FS(), strings.TrimPrefix(name, "/"))
		read("FS", data, err)
		if err := m.CopyOut(ctx, name, out); err == nil {
			data, err = os.ReadFile(out)
			if info, lstatErr := os.Lstat(out); lstatErr == nil && info.Mode().IsRegular() {
				read("CopyOut", data, err)
			}
		}
		_, _ = m.Stat(name)
		for way, err := range map[string]error{
			"AppendFile": m.AppendFile(name, []byte("appended"), 0o644),
			"MkdirAll":   m.MkdirAll(name, 0o755),
			"Chown":      m.Chown(name, "65534:65534"),
			"CopyIn":     m.CopyIn(ctx, mine, name, ""),
			"WriteFile":  m.WriteFileAs("65534", name, []byte("written"), 0o644),
			"Symlink":    m.Symlink("/", name+"/link"),
			"RemoveAll":  m.RemoveAll(name + "/host"),
			"Remove":     m.Remove(name),
		} {
			if err != nil && !errors.As(err, new(*nspawn.Error)) {
				t.Errorf("%s(%q): %v", way, name, err)
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute): // some names are the whole tree, which is copied
		t.Fatalf("%q hangs", name)
	}
}

// testPlantedFiles puts links, fifos and devices of a hostile root in the places
// of files that nspawn and this package look at by themselves.
func testPlantedFiles(t *testing.T, s *suite) {
	host := t.TempDir()
	passwd := filepath.Join(host, "passwd")
	if err := os.WriteFile(passwd, []byte("intruder:x:0:0::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, trap := range []string{"link", "fifo", "device", "directory"} {
		root := s.root(t)
		for _, name := range []string{"etc/passwd", "etc/group", "etc/hostname", "etc/resolv.conf", "etc/localtime"} {
			plantFile(t, trap, filepath.Join(root, name), "../../../../../../../.."+passwd)
		}
		if err := os.RemoveAll(filepath.Join(root, "var/log/journal")); err != nil {
			t.Fatal(err)
		}
		symlink(t, host, root, "var/log/journal")
		m := s.start(t, nspawn.Config{Name: s.name("planted-" + trap), Root: root, Command: []string{"sleep", "infinity"}})
		usePlanted(t, trap, m)
	}
	entries, err := os.ReadDir(host)
	if err != nil || len(entries) != 1 {
		t.Errorf("in the host's directory: %v, %v", entries, err)
	}
}

// plantFile puts a trap in the place of a file; a link leads to the target.
func plantFile(t *testing.T, trap, path, target string) {
	t.Helper()
	err := os.RemoveAll(path)
	if err == nil {
		switch trap {
		case "link":
			err = os.Symlink(target, path)
		case "fifo":
			err = unix.Mkfifo(path, 0o644)
		case "device":
			err = unix.Mknod(path, unix.S_IFCHR|0o644, int(unix.Mkdev(5, 0)))
		case "directory":
			err = os.Mkdir(path, 0o755)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// usePlanted does what looks at such files, in the running machine and after its end.
func usePlanted(t *testing.T, trap string, m *nspawn.Machine) {
	t.Helper()
	ctx := testContext(t)
	cmd := m.Command(ctx, "true")
	cmd.User = "intruder"
	if err := cmd.Run(); err == nil {
		t.Errorf("%s: a user of the host's file was taken", trap)
	}
	if err := m.WriteFileAs("intruder", "/srv/file", nil, 0o600); err == nil {
		t.Errorf("%s: a user of the host's file owns a file", trap)
	}
	if err := m.Command(ctx, "true").Run(); err != nil {
		t.Errorf("%s: root needs no look-up: %v", trap, err)
	}
	if err := m.Stop(ctx); err != nil {
		t.Errorf("%s: stop: %v", trap, err)
	}
	for _, err := range m.Journal(ctx, nspawn.JournalOptions{}) {
		if err == nil {
			t.Errorf("%s: an entry of the host's journal", trap)
		}
		break
	}
}
