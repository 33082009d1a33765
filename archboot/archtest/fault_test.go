package archtest_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prologin/rig/archboot/archtest"
)

const greeterFile = "/test/os/x86_64/greeter-1:2.0-1-any.pkg.tar.zst"

func synthetic(t *testing.T) *archtest.Mirror {
	t.Helper()
	return archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: greeter()})
}

// TestFaults looks at the faults as a web client sees them.
func TestFaults(t *testing.T) {
	t.Parallel()
	m := synthetic(t)
	_, whole := get(t, m.URL+greeterFile)
	flipped := func(i int) string {
		b := []byte(whole)
		b[i] ^= 0xff
		return string(b)
	}
	for name, c := range map[string]struct {
		fault  archtest.Fault
		status int
		body   string
		broken bool // the body ends before the announced length
	}{
		"status":    {archtest.Status(404), 404, "Not Found\n", false},
		"delay":     {archtest.Delay(time.Millisecond), 200, whole, false},
		"throttle":  {archtest.Throttle(len(whole) * 4), 200, whole, false},
		"truncate":  {archtest.Truncate(10), 200, whole[:10], true},
		"cut":       {archtest.Cut(10), 200, whole[:10], false},
		"flip":      {archtest.FlipByte(20), 200, flipped(20), false},
		"flip last": {archtest.FlipByte(-1), 200, flipped(len(whole) - 1), false},
		"content":   {archtest.Content([]byte("other")), 200, "other", false},
		"redirect":  {archtest.Redirect("/elsewhere"), 404, "404 page not found\n", false},
		"rewrite":   {archtest.Rewrite(func([]byte) []byte { return nil }), 200, "", false},
		"none left": {archtest.Times(0, archtest.Status(500)), 200, whole, false},
	} {
		remove := m.Inject("greeter*.zst", c.fault)
		r, err := http.Get(m.URL + greeterFile)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != c.status || string(body) != c.body || errors.Is(err, io.ErrUnexpectedEOF) != c.broken {
			t.Errorf("%s: status %d, %d bytes, %v; want status %d, %d bytes, broken %v",
				name, r.StatusCode, len(body), err, c.status, len(c.body), c.broken)
		}
		if status, _ := get(t, m.URL+"/test/os/x86_64/test.db"); status != 200 {
			t.Errorf("%s: a file that does not match has status %d", name, status)
		}
		remove()
	}
	if _, body := get(t, m.URL+greeterFile); body != whole {
		t.Error("a removed fault still acts")
	}
}

// TestThrottle takes as long as it says, on a clock of its own.
func TestThrottle(t *testing.T) {
	t.Parallel()
	const size = 200
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) })
	for rate, want := range map[int]time.Duration{-1: size * time.Second, 5: 40 * time.Second, 50: 4 * time.Second, 1000: 200 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			begun, w := time.Now(), httptest.NewRecorder()
			archtest.Throttle(rate)(next).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
			if took := time.Since(begun); took != want || w.Body.Len() != size {
				t.Errorf("%d bytes at %d a second took %v, want %v", w.Body.Len(), rate, took, want)
			}
		})
	}
}

// TestDelay takes as long as it says, on a clock of its own, unless the client gives up.
func TestDelay(t *testing.T) {
	t.Parallel()
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "whole") })
	for patience, want := range map[time.Duration]string{2 * time.Hour: "whole", time.Minute: ""} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			begun, w := time.Now(), httptest.NewRecorder()
			archtest.Delay(time.Hour)(next).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
			if took := time.Since(begun); took != min(patience, time.Hour) || w.Body.String() != want {
				t.Errorf("a client with a patience of %v got %q after %v, want %q", patience, w.Body, took, want)
			}
		})
	}
}

// TestFaultAsks has a fault that looks at the mirror before it decides what to do.
func TestFaultAsks(t *testing.T) {
	t.Parallel()
	m := synthetic(t)
	m.Inject("*.db", func(next http.Handler) http.Handler {
		if len(m.Requests()) > 0 {
			return next
		}
		return archtest.Status(503)(next)
	})
	client := http.Client{Timeout: time.Minute}
	for _, want := range []int{503, 200} {
		r, err := client.Get(m.URL + "/test/os/x86_64/test.db")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("status %d, want %d", r.StatusCode, want)
		}
	}
}

func TestRedirectLoop(t *testing.T) {
	t.Parallel()
	m := synthetic(t)
	m.Inject("*.db", archtest.Redirect(m.URL+"/test/os/x86_64/test.db"))
	if r, err := http.Get(m.URL + "/test/os/x86_64/test.db"); err == nil {
		r.Body.Close()
		t.Errorf("the redirects ended with status %d", r.StatusCode)
	}
}

func TestInject(t *testing.T) {
	t.Parallel()
	m := synthetic(t)
	m.Inject("/test/os/*/test.db", archtest.Status(500))
	m.Inject("[", archtest.Status(501))
	m.Inject("*.db", archtest.Times(2, archtest.Status(503)))
	for i, want := range []int{503, 503, 500} {
		if got, _ := get(t, m.URL+"/test/os/x86_64/test.db"); got != want {
			t.Errorf("request %d: status %d, want %d", i, got, want)
		}
	}
	log := m.Requests()
	if len(log) != 3 || log[2].Status != 500 {
		t.Errorf("log %+v", log)
	}
}

// TestPacmanMeetsFaults makes sure that what the faults break, real pacman
// refuses, and that nothing is installed then.
func TestPacmanMeetsFaults(t *testing.T) {
	t.Parallel()
	need(t, "pacman", "pacman-key", "ip")
	m := synthetic(t)
	h := newHost(t, m)
	for _, c := range []struct {
		name, pattern string
		fault         archtest.Fault
		complaint     string
	}{
		{"package gone", "libgreet*.zst", archtest.Status(404), "404"},
		{"signature gone", "libgreet*.sig", archtest.Status(404), "404"},
		{"database gone", "test.db", archtest.Status(404), "404"},
		{"package flipped", "libgreet*.zst", archtest.FlipByte(30), "invalid or corrupted package"},
		{"package truncated", "libgreet*.zst", archtest.Truncate(30), "failed retrieving file"},
		{"package cut", "libgreet*.zst", archtest.Cut(30), "invalid or corrupted package"},
		{"package signed by a stranger", "libgreet*.sig", archtest.WrongKey(), "required key missing from keyring"},
		{"database signed by a stranger", "*.db.sig", archtest.WrongKey(), "signature"},
		{"database flipped", "*.db", archtest.FlipByte(30), "signature"},
		{"database stale", "*.db*", m.StaleDatabase(), "404"},
		{"server broken", "*", archtest.Status(503), "503"},
	} {
		remove := m.Inject(c.pattern, c.fault)
		if err := os.RemoveAll(filepath.Join(h.dir, "pkg")); err != nil {
			t.Fatal(err)
		}
		out, err := h.pacman(t, "-Syy", "greeter")
		remove()
		if err == nil || !strings.Contains(out, c.complaint) {
			t.Errorf("%s: %v; want %q in\n%s", c.name, err, c.complaint, out)
		}
		for _, file := range []string{"usr/bin/greeter", "usr/lib/libgreet.so"} {
			if _, err := os.Lstat(filepath.Join(h.root, file)); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s: installed all the same: %s, %v", c.name, file, err)
			}
		}
	}
	m.Inject("*", archtest.Delay(time.Millisecond))
	if out, err := h.pacman(t, "-Syy", "greeter"); err != nil {
		t.Errorf("a slow mirror: %v\n%s", err, out)
	}
}

func TestPacmanMeetsExpiredKey(t *testing.T) {
	t.Parallel()
	need(t, "pacman", "pacman-key", "ip")
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: greeter(), ExpiredKey: true})
	gpg := filepath.Join(t.TempDir(), "gnupg")
	if err := os.Mkdir(gpg, 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "pacman-key", "--gpgdir", gpg, "--init")
	mustRun(t, "pacman-key", "--gpgdir", gpg, "--add", m.PublicKeyFile())
	sig := filepath.Join(t.TempDir(), "test.db.sig")
	for _, name := range []string{"test.db", "test.db.sig"} {
		_, body := get(t, m.URL+"/test/os/x86_64/"+name)
		if err := os.WriteFile(filepath.Join(filepath.Dir(sig), name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The exit status differs: GnuPG 2.4 calls the signature good and the key expired.
	if out, err := run(t, "pacman-key", "--gpgdir", gpg, "--verify", sig); !strings.Contains(out, "key has expired") {
		t.Errorf("pacman-key --verify: %v\n%s", err, out)
	}
}
