package archboot_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
)

// needRoot skips tests that make roots where that is not possible.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making roots needs root privileges")
	}
}

// synthetic starts a mirror with a base that is just enough for Bootstrap.
func synthetic(t *testing.T) *archtest.Mirror {
	t.Helper()
	return archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: []alpm.Package{
		{Name: "base", Version: "1-1", Depends: []string{"units"}, Files: []alpm.File{
			{Path: "etc/pacman.conf", Data: []byte("[options]\nHoldPkg = base\n\n[old]\nServer = http://old\n"), Mode: 0o644},
			{Path: "etc/shadow", Data: []byte("root:!:1::::::\nbin:*:1::::::\n"), Mode: 0o600},
			{Path: "usr/share/zoneinfo/Europe/Paris", Data: []byte("TZif"), Mode: 0o644},
			{Path: "usr/share/zoneinfo/tzdata.zi", Data: []byte("Z Europe/Paris 0\nZ Europe/Rome 0\n"), Mode: 0o644},
			{Path: "usr/share/i18n/locales/en_US", Mode: 0o644}, {Path: "usr/share/i18n/locales/fr_FR", Mode: 0o644},
			{Path: "usr/share/i18n/charmaps/UTF-8.gz", Mode: 0o644},
			{Path: "usr/share/i18n/SUPPORTED", Data: []byte("en_US.UTF-8 UTF-8\nfr_FR.UTF-8 UTF-8\n"), Mode: 0o644},
		}},
		{Name: "units", Version: "2-1", Files: []alpm.File{
			{Path: "usr/lib/systemd/system/sshd.service", Data: []byte("[Install]\nWantedBy=multi-user.target\n"), Mode: 0o644},
		}},
	}})
}

func configFor(m *archtest.Mirror) archboot.Config {
	c := archboot.Config{
		Keys:     [][]byte{m.PublicKey()},
		Packages: []string{"base"},
		Services: []string{"sshd.service"},
	}
	for _, name := range m.Repositories() {
		c.Repositories = append(c.Repositories, archboot.Repository{Name: name, Servers: []string{m.Server()}, SigLevel: m.SigLevel()})
	}
	return c
}

func TestBootstrapSynthetic(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	c := configFor(m)
	c.Hostname, c.TimeZone, c.Keymap = "gw", "Europe/Paris", "fr"
	c.Password = strings.NewReader("s3cret\n")
	c.Files = []archboot.File{{Path: "/opt/x/y", Data: []byte("hello"), Mode: 0o755}}
	c.NTP = []string{"ntp.prolo"}
	c.MachineRepositories = []archboot.Repository{{Name: "core", Servers: []string{"http://10.0.0.1/$repo"}}}
	var installed []string
	c.Progress = func(e archboot.Event) {
		if e.Kind == archboot.EventInstall {
			installed = append(installed, e.String())
		}
	}
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"(1/2) installing units", "(2/2) installing base"}, installed); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"etc/hostname":            "gw\n",
		"etc/machine-id":          "",
		"etc/locale.conf":         "LANG=C.UTF-8\n",
		"etc/vconsole.conf":       "KEYMAP=fr\n",
		"etc/pacman.conf":         "[options]\nHoldPkg = base\n\n[core]\nInclude = /etc/pacman.d/mirrorlist\n",
		"etc/pacman.d/mirrorlist": "Server = http://10.0.0.1/$repo\n",
		"opt/x/y":                 "hello",
		"etc/systemd/timesyncd.conf.d/50-servers.conf": "[Time]\nNTP=ntp.prolo\n",
		"etc/systemd/network/50-wired.network":         "[Match]\nName=eth* en* host*\n\n[Network]\nLLDP=yes\nEmitLLDP=yes\nDHCP=yes\n",
	} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"etc/localtime": "../usr/share/zoneinfo/Europe/Paris",
		"etc/systemd/system/multi-user.target.wants/sshd.service": "/usr/lib/systemd/system/sshd.service",
	} {
		if got, err := os.Readlink(filepath.Join(root, name)); err != nil || got != want {
			t.Errorf("%s: link to %q, %v; want %q", name, got, err, want)
		}
	}
	shadow, err := os.ReadFile(filepath.Join(root, "etc/shadow"))
	if err != nil || !strings.HasPrefix(string(shadow), "root:$6$rounds=") || !strings.Contains(string(shadow), "\nbin:*:1::::::\n") {
		t.Errorf("shadow: %q, %v", shadow, err)
	}
	assertNoTrace(t, root, "s3cret")
}

// assertNoTrace looks for what a bootstrap must not leave: mounts, processes that
// see the root, work files, and the password anywhere in the tree.
func assertNoTrace(t *testing.T, root, password string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mounts, []byte(root)) {
		t.Errorf("%s is still mounted", root)
	}
	processes, _ := filepath.Glob("/proc/[0-9]*/mountinfo")
	for _, p := range processes {
		if data, err := os.ReadFile(p); err == nil && bytes.Contains(data, []byte(root)) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			t.Errorf("%s still lives in the root's namespace: %q", p, line)
		}
	}
	for _, dir := range []string{"run", "tmp", "dev", "proc", "sys", "var/cache/pacman/pkg"} {
		if entries, err := os.ReadDir(filepath.Join(root, dir)); err != nil || len(entries) > 0 {
			t.Errorf("%s holds %v, %v", dir, entries, err)
		}
	}
	if password == "" {
		return
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		if bytes.Contains(data, []byte(password)) {
			t.Errorf("%s holds the password", name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestBootstrapRefuses(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	stranger := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		root   string // a fresh directory where empty
		change func(*archboot.Config)
		want   error
		text   string
	}{
		{name: "missing root", root: "/nonexistent/root", want: fs.ErrNotExist},
		{name: "root is a file", root: file, want: archboot.ErrBadRoot},
		{name: "root is the host's", root: "/", want: archboot.ErrBadRoot},
		{name: "root is the host's, in other words", root: "/proc/self/root/", want: archboot.ErrBadRoot},
		{name: "root is not empty", root: full, want: archboot.ErrNotEmpty, text: "mine"},
		{name: "invalid", change: func(c *archboot.Config) { c.Hostname = "-x"; c.Locale = "a b" }, want: archboot.ErrInvalid, text: "Locale"},
		{name: "password with NUL", change: func(c *archboot.Config) { c.Password = strings.NewReader("a\x00b") }, want: archboot.ErrInvalid},
		{name: "password with CR", change: func(c *archboot.Config) { c.Password = strings.NewReader("ab\r\n") }, want: archboot.ErrInvalid},
		{name: "password of 100 MB", change: func(c *archboot.Config) { c.Password = zeros{} }, want: archboot.ErrInvalid},
		{name: "password unreadable", change: func(c *archboot.Config) { c.Password = broken{} }, want: fs.ErrPermission},
		{name: "mirror dead", change: func(c *archboot.Config) { c.Repositories[0].Servers = []string{"http://127.0.0.1:1"} }, want: archboot.ErrMirror},
		{name: "mirror without repository", change: func(c *archboot.Config) { c.Repositories[0].Name = "nosuch" }, want: archboot.ErrMirror, text: "404"},
		{name: "stranger's key", change: func(c *archboot.Config) { c.Keys = [][]byte{stranger.PublicKey()} }, want: archboot.ErrSignature},
		{name: "unknown packages", change: func(c *archboot.Config) { c.Packages = []string{"base", "nosuch1", "nosuch2"} }, want: archboot.ErrUnknownPackage, text: "nosuch1; nosuch2"},
		{name: "unknown time zone", change: func(c *archboot.Config) { c.TimeZone = "Europe/Pariss" }, want: archboot.ErrNotFound, text: "near it: Europe/Paris"},
		{name: "unknown locale", change: func(c *archboot.Config) { c.Locale = "en_UK.UTF-8" }, want: archboot.ErrNotFound, text: "en_US.UTF-8"},
		{name: "misspelt unit type", change: func(c *archboot.Config) { c.Services = []string{"sshd.sevrice", "sssd.service"} }, want: archboot.ErrInvalid, text: "sshd.sevrice"},
		{name: "unknown unit", change: func(c *archboot.Config) { c.Services = []string{"ssh.service", "nosuch@x.timer"} }, want: archboot.ErrNotFound, text: "near it: sshd.service"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := configFor(m)
			if test.change != nil {
				test.change(&c)
			}
			root := test.root
			if root == "" {
				root = t.TempDir()
			}
			err := archboot.Bootstrap(t.Context(), root, c)
			var typed *archboot.Error
			if !errors.Is(err, test.want) || !errors.As(err, &typed) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.want, test.text)
			}
			if test.root == "" {
				assertEmpty(t, root)
			}
		})
	}
	t.Cleanup(func() {
		if data, err := os.ReadFile(filepath.Join(full, "mine")); string(data) != "precious" {
			t.Errorf("a refused root was touched: %v", err)
		}
	})
}

func assertEmpty(t *testing.T, root string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) > 0 {
		t.Errorf("the root should be empty again: %v, %v", entries, err)
	}
}

// zeros is a file that never ends, of the letter 0.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fs.ErrPermission }

func TestBootstrapCancelled(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	// Cancel at every event in turn, as Ctrl-C would: in each step once.
	for stop := 0; ; stop++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("interrupted")
		c := configFor(m)
		seen := 0
		c.Progress = func(archboot.Event) {
			if seen == stop {
				cancel(reason)
			}
			seen++
		}
		root := t.TempDir()
		err := archboot.Bootstrap(ctx, root, c)
		cancel(nil)
		if seen <= stop {
			if err != nil {
				t.Errorf("not cancelled, and yet: %v", err)
			}
			break
		}
		if err != nil {
			if !errors.Is(err, reason) {
				t.Errorf("cancelled at event %d: %v", stop, err)
			}
			assertEmpty(t, root)
		}
	}
}

func TestBootstrapAfterKill(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	root := t.TempDir()
	for name, data := range map[string]string{".archboot-incomplete": "", "half": "a package"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := archboot.Identify(t.Context(), root, archboot.Identity{}); !errors.Is(err, archboot.ErrIncomplete) {
		t.Errorf("Identify on half a root: %v", err)
	}
	if err := archboot.Bootstrap(t.Context(), root, configFor(m)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".archboot-incomplete", "half"} {
		if _, err := os.Lstat(filepath.Join(root, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

func TestFallbackMirror(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	c := configFor(m)
	c.Repositories[0].Servers = slices.Insert(c.Repositories[0].Servers, 0, "http://127.0.0.1:1")
	var warnings []string
	c.Progress = func(e archboot.Event) {
		if e.Kind == archboot.EventWarning {
			warnings = append(warnings, e.Text)
		}
	}
	if err := archboot.Bootstrap(t.Context(), t.TempDir(), c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(warnings, "\n"), "127.0.0.1:1") {
		t.Errorf("the dead mirror was not mentioned: %q", warnings)
	}
}

// TestMisspeltNamesAreFoundFirst: what packages bring is looked at before any of them
// is installed, and every wrong name is said at once.
func TestMisspeltNamesAreFoundFirst(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	c.TimeZone, c.Locale, c.Services = "Europe/Pariss", "en_UK.UTF-8", []string{"ssh.service", "mine.service"}
	c.Files = []archboot.File{{Path: "/etc/systemd/system/mine.service", Data: []byte("[Install]\nWantedBy=multi-user.target\n")}}
	c.Progress = func(e archboot.Event) {
		if e.Kind == archboot.EventInstall {
			t.Errorf("%v, although a name is wrong", e)
		}
	}
	root := t.TempDir()
	err := archboot.Bootstrap(t.Context(), root, c)
	if !errors.Is(err, archboot.ErrNotFound) {
		t.Fatalf("got %v, want %v", err, archboot.ErrNotFound)
	}
	for _, want := range []string{"near it: Europe/Paris", "en_US.UTF-8", "near it: sshd.service"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), `unit "mine.service"`) {
		t.Errorf("the Config's own unit was not seen: %v", err)
	}
	assertEmpty(t, root)
}
