package nspawntest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	traps := plantTraps(t, root, secret)
	m := s.boot(t, nspawn.Config{Name: s.name("escape"), Root: root})
	for _, running := range []bool{true, false} {
		if !running {
			if err := m.Stop(testContext(t)); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range traps {
			tryEscape(t, m, name, outside)
		}
		if data, err := os.ReadFile(secret); err != nil || !bytes.Equal(data, outside) {
			t.Fatalf("the host's file was written: %q, %v", data, err)
		}
	}
}

// plantTraps makes links, fifos, sockets and devices, and returns names that
// lead into them.
func plantTraps(t *testing.T, root, secret string) (names []string) {
	t.Helper()
	dir := filepath.Join(root, "traps")
	if err := os.Mkdir(dir, 0o755); err != nil {
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

func tryEscape(t *testing.T, m *nspawn.Machine, name string, outside []byte) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if data, err := m.ReadFile(name); err == nil && bytes.Equal(data, outside) {
			t.Errorf("ReadFile(%q) read the host's file", name)
		}
		err := m.WriteFile(name, []byte("written by the machine's link"), 0o644)
		if err != nil && !errors.As(err, new(*nspawn.Error)) {
			t.Errorf("WriteFile(%q): %v", name, err)
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%q hangs", name)
	}
}
