package archboot_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
)

// TestMirrorFaults lets a real mirror misbehave towards the real pacman.
func TestMirrorFaults(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, test := range []struct {
		name, pattern string
		fault         archtest.Fault
		want          error
	}{
		{"no database", "test.db", archtest.Status(404), archboot.ErrMirror},
		{"server broken", "*", archtest.Status(503), archboot.ErrMirror},
		{"redirect loop", "test.db", archtest.Redirect("test.db"), archboot.ErrMirror},
		{"database broken off", "test.db", archtest.Truncate(100), archboot.ErrCorrupt},
		{"database cut", "test.db", archtest.Cut(100), archboot.ErrSignature},
		{"database flipped", "test.db", archtest.FlipByte(-20), archboot.ErrSignature},
		{"database is a page", "test.db", archtest.Content([]byte("<html>")), archboot.ErrSignature},
		{"database not signed", "test.db.sig", archtest.Status(404), archboot.ErrSignature},
		{"database signed by a stranger", "test.db.sig", archtest.WrongKey(), archboot.ErrSignature},
		{"no package", "units-*.zst", archtest.Status(404), archboot.ErrMirror},
		{"package broken off", "units-*.zst", archtest.Truncate(100), archboot.ErrCorrupt},
		{"package cut", "units-*.zst", archtest.Cut(100), archboot.ErrCorrupt},
		{"package flipped", "units-*.zst", archtest.FlipByte(60), archboot.ErrCorrupt},
		{"package longer than said", "units-*.zst", archtest.Rewrite(func(b []byte) []byte { return append(b, b...) }), archboot.ErrCorrupt},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := synthetic(t)
			m.Inject(test.pattern, test.fault)
			root := t.TempDir()
			if err := archboot.Bootstrap(t.Context(), root, configFor(m)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			assertEmpty(t, root)
		})
	}
}

func TestStaleDatabase(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	m.Inject("*.db*", m.StaleDatabase())
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, configFor(m)); !errors.Is(err, archboot.ErrMirror) {
		t.Errorf("got %v, want %v", err, archboot.ErrMirror)
	}
	assertEmpty(t, root)
}

// TestSlowMirror: the deadline of the caller counts, whatever the mirror does.
func TestSlowMirror(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	m.Inject("*.db", archtest.Delay(time.Hour))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	root := t.TempDir()
	if err := archboot.Bootstrap(ctx, root, configFor(m)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	assertEmpty(t, root)
}

// TestOneBadServer: a fault that another server makes up for is only a warning.
func TestOneBadServer(t *testing.T) {
	t.Parallel()
	needRoot(t)
	good, bad := synthetic(t), synthetic(t)
	bad.Inject("*", archtest.Status(500))
	c := configFor(good)
	c.Repositories[0].Servers = []string{bad.Server(), good.Server()}
	var said strings.Builder
	c.Progress = func(e archboot.Event) { said.WriteString(e.String() + "\n") }
	if err := archboot.Bootstrap(t.Context(), t.TempDir(), c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "warning: failed retrieving") {
		t.Errorf("nothing was said about the bad server:\n%s", &said)
	}
}

// TestExpiredKey: a mirror whose key has expired since it signed.
func TestExpiredKey(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, ExpiredKey: true, Packages: []alpm.Package{{Name: "base", Version: "1-1"}}})
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, configFor(m)); !errors.Is(err, archboot.ErrSignature) {
		t.Errorf("got %v, want %v", err, archboot.ErrSignature)
	}
	assertEmpty(t, root)
}

// TestHostileNames: a database that is signed, but names files outside. Whatever
// pacman makes of it, nothing is written or read there.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for name, file := range map[string]string{
		"filename climbs":   "%FILENAME%\n../../../../../../tmp/archboot-hostile.pkg.tar.zst\n\n%NAME%\nbase\n\n",
		"filename absolute": "%FILENAME%\n/etc/archboot-hostile.pkg.tar.zst\n\n%NAME%\nbase\n\n",
		"name climbs":       "%FILENAME%\nbase-1-1-any.pkg.tar.zst\n\n%NAME%\n../../base\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := synthetic(t)
			m.Inject("test.db*", m.Database(map[string]string{"base-1-1/desc": file + "%VERSION%\n1-1\n\n%ARCH%\nany\n\n%CSIZE%\n10\n\n%ISIZE%\n10\n\n"}))
			root, cache := t.TempDir(), t.TempDir()
			c := configFor(m)
			c.CacheDir = filepath.Join(cache, "pkg")
			err := archboot.Bootstrap(t.Context(), root, c)
			var typed *archboot.Error
			if !errors.As(err, &typed) {
				t.Errorf("got %v", err)
			}
			t.Log(err)
			assertEmpty(t, root)
			for _, dir := range []string{"/tmp", "/etc", cache} {
				if found, _ := filepath.Glob(filepath.Join(dir, "*hostile*")); len(found) > 0 {
					t.Errorf("written outside: %q", found)
				}
			}
		})
	}
}

// TestUnsignedDatabases: as on Arch's own mirrors, only packages are signed. They must
// be, whatever the database says.
func TestUnsignedDatabases(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	m.Inject("*.db.sig", archtest.Status(404))
	c := configFor(m)
	c.Repositories[0].SigLevel = "" // the default
	if err := archboot.Bootstrap(t.Context(), t.TempDir(), c); err != nil {
		t.Fatal(err)
	}
	m.Inject("base-*.sig", archtest.Status(404))
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); !errors.Is(err, archboot.ErrSignature) {
		t.Errorf("without a package's signature: got %v, want %v", err, archboot.ErrSignature)
	}
	assertEmpty(t, root)
}
