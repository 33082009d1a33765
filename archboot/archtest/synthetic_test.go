package archtest_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
)

// greeter and its library are packages with one of everything that pacman acts on.
func greeter() []alpm.Package {
	return []alpm.Package{
		{
			Name: "greeter", Version: "1:2.0-1", Description: "says hello", Depends: []string{"libgreet>=1"},
			Backup: []string{"etc/greeter.conf"},
			Files: []alpm.File{
				{Path: "usr/bin/greeter", Mode: 0o755, Data: []byte("#!/bin/sh\necho hello\n")},
				{Path: "usr/bin/greet", Mode: fs.ModeSymlink, Target: "greeter"},
				{Path: "etc/greeter.conf", Mode: 0o640, Data: []byte("who = world\n")},
			},
		},
		{
			Name: "libgreet", Version: "1.5-2",
			Files: []alpm.File{{Path: "usr/lib/libgreet.so", Mode: 0o755, Data: []byte("not really")}},
		},
		{
			Name: "farewell", Version: "1-1", Conflicts: []string{"greeter"},
			Files: []alpm.File{{Path: "usr/bin/farewell", Mode: 0o755}},
		},
	}
}

func TestSynthetic(t *testing.T) {
	t.Parallel()
	need(t, "pacman", "pacman-key", "ip")
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: greeter()})
	h := newHost(t, m)
	if out, err := h.pacman(t, "-Sy", "greeter"); err != nil {
		t.Fatal(out, err)
	}
	out, err := h.pacman(t, "-Q")
	if want := "greeter 1:2.0-1\nlibgreet 1.5-2\n"; err != nil || out != want {
		t.Errorf("installed: %q, %v; want %q", out, err, want)
	}
	if target, err := os.Readlink(filepath.Join(h.root, "usr/bin/greet")); target != "greeter" {
		t.Errorf("link to %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(h.root, "etc/greeter.conf")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("configuration file: %v, %v", info, err)
	}
	if out, err := h.pacman(t, "-Qkk"); err != nil {
		t.Errorf("pacman -Qkk: %v\n%s", err, out)
	}
	if out, err := h.pacman(t, "-S", "farewell"); err == nil {
		t.Errorf("a conflicting package was installed:\n%s", out)
	}
	if out, err := h.pacman(t, "-Fy"); err != nil {
		t.Errorf("pacman -Fy: %v\n%s", err, out)
	}
	if out, err := h.pacman(t, "-F", "usr/bin/farewell"); err != nil || !strings.Contains(out, "test/farewell 1-1") {
		t.Errorf("pacman -F: %q, %v", out, err)
	}
}

func TestSyntheticIsRefusedWithoutItsKey(t *testing.T) {
	t.Parallel()
	need(t, "pacman", "pacman-key", "ip")
	other := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: greeter()})
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: greeter()})
	h := newHost(t, other)
	h.use(t, m)
	if out, err := h.pacman(t, "-Sy", "greeter"); err == nil || !strings.Contains(out, m.Fingerprint()) {
		t.Errorf("%v; want pacman to complain about the key %s:\n%s", err, m.Fingerprint(), out)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func TestServer(t *testing.T) {
	t.Parallel()
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: greeter(), Repository: "ours"})
	if got := m.Repositories(); len(got) != 1 || got[0] != "ours" {
		t.Errorf("repositories %q", got)
	}
	for path, want := range map[string]int{
		"/ours/os/x86_64/ours.db":                                     200,
		"/ours/os/x86_64/ours.db.sig":                                 200,
		"/ours/os/x86_64/ours.files":                                  200,
		"/ours/os/x86_64/greeter-1:2.0-1-any.pkg.tar.zst":             200,
		"/ours/os/x86_64/greeter-1%3A2.0-1-any.pkg.tar.zst.sig":       200,
		"/repos/2018/05/01/ours/os/x86_64/ours.db":                    200,
		"/repos/2018/05/ours/os/x86_64/ours.db":                       404,
		"/ours/os/x86_64/":                                            404,
		"/":                                                           404,
		"/ours/os/x86_64/../../../../../../../../../../../etc/passwd": 404,
		"/ours/os/x86_64/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd":    404,
	} {
		if got, _ := get(t, m.URL+path); got != want {
			t.Errorf("%s: status %d, want %d", path, got, want)
		}
	}
	log := m.Requests()
	if len(log) != 11 {
		t.Errorf("%d requests in the log, want 11", len(log))
	}
	for _, r := range log {
		if r.Method != "GET" || r.Time.IsZero() || r.Remote == "" || r.Bytes == 0 {
			t.Errorf("request %+v", r)
		}
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	m, err := archtest.Start(t.Context(), archtest.Options{Suite: archtest.Synthetic})
	if err != nil {
		t.Fatal(err)
	}
	key := m.PublicKeyFile()
	if _, err := os.Stat(key); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(key)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the mirror left its directory: %v", err)
	}
	if _, err := http.Get(m.URL); err == nil {
		t.Error("a closed mirror answers")
	}
	if _, err := m.Listen(t.Context(), "127.0.0.1:0", ""); !errors.Is(err, archtest.ErrClosed) {
		t.Errorf("Listen on a closed mirror: got %v, want ErrClosed", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// TestCloseWaits: when a mirror is closed, it answers nobody any more, so that a fault or
// a logger of the test's is not called after the test.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	m := synthetic(t)
	asked := make(chan struct{})
	var answered atomic.Bool
	m.Inject("*.db", func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(asked)
			<-r.Context().Done()
			if _, err := m.Listen(t.Context(), "127.0.0.1:0", ""); !errors.Is(err, archtest.ErrClosed) {
				t.Errorf("Listen meanwhile: got %v, want ErrClosed", err)
			}
			time.Sleep(100 * time.Millisecond)
			answered.Store(true)
		})
	})
	client := make(chan error)
	go func() {
		r, err := http.Get(m.URL + "/test/os/x86_64/test.db")
		if err == nil {
			r.Body.Close()
		}
		client <- err
	}()
	<-asked
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if !answered.Load() {
		t.Error("a request was still being answered")
	}
	if err := <-client; err == nil {
		t.Error("the request was not broken off")
	}
}

// TestKilledMirror: what a mirror leaves whose program is killed goes with the start of
// the next, and that of one that runs stays.
func TestKilledMirror(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left := filepath.Join(os.TempDir(), "archtest-mirror-1")
	if err := os.MkdirAll(filepath.Join(left, "www"), 0o700); err != nil {
		t.Fatal(err)
	}
	first := synthetic(t)
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", left, err)
	}
	synthetic(t)
	if _, err := os.Stat(first.PublicKeyFile()); err != nil {
		t.Errorf("of a mirror that runs: %v", err)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	need(t, "ip", "curl")
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic})
	netns := newNetns(t)
	url, err := m.Listen(t.Context(), "127.0.0.1:80", fmt.Sprintf("/proc/self/fd/%d", netns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	inNetns(t, netns, func() {
		if out, err := exec.Command("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url+"/test/os/x86_64/test.db").Output(); err != nil || string(out) != "200" {
			t.Errorf("in the namespace: %q, %v", out, err)
		}
	})
	if _, err := m.Listen(t.Context(), m.URL[len("http://"):], ""); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("an address in use: got %v", err)
	}
	if _, err := m.Listen(t.Context(), "127.0.0.1:0", "/proc/self/ns/mnt"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a namespace of another kind: got %v", err)
	}
	if _, err := m.Listen(t.Context(), "127.0.0.1:0", "/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no namespace: got %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	o := archtest.Options{
		Suite: "woody", AddOns: []string{"emacs"}, Repository: "core", CacheDir: "relative",
		Packages: []alpm.Package{{Name: "a", Version: "1-1"}, {Name: "a", Version: "1-1"}, {Name: "b"}},
	}
	_, err := archtest.Start(t.Context(), o)
	if !errors.Is(err, archtest.ErrInvalid) || !errors.Is(err, alpm.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	var own *archtest.Error
	if !errors.As(err, &own) || own.Op != "start" || own.Suite != "woody" {
		t.Errorf("got %#v", own)
	}
	for _, part := range []string{"woody", "emacs", `"core"`, "relative", `"a" is given twice`, "b: version"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not mention %s:\n%v", part, err)
		}
	}
	for _, name := range []string{"extra", "options", "local", ".", "a/b", "a]", "a\tb", "a\nb"} {
		if err := (archtest.Options{Suite: archtest.Synthetic, Repository: name}).Validate(); !errors.Is(err, archtest.ErrInvalid) {
			t.Errorf("repository %q: got %v, want ErrInvalid", name, err)
		}
	}
}
