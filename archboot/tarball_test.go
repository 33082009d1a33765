package archboot_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

// bootstrapConfig is a Config for a real root from the mirror.
func bootstrapConfig(m *archtest.Mirror) archboot.Config {
	c := configFor(m)
	c.Packages = []string{"base", "openssh"}
	c.Services = nil
	c.Hostname, c.Locale, c.TimeZone = "gw", "en_US.UTF-8", "Europe/Paris"
	return c
}

// download stores what the mirror has at a URL.
func download(t testing.TB, url, name string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVerify looks at a root, changes it, and looks again.
func TestVerify(t *testing.T) {
	needRoot(t)
	m := debianMirror(t, archtest.Trixie)
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, bootstrapConfig(m)); err != nil {
		t.Fatal(err)
	}
	verify := func() map[string]string {
		t.Helper()
		list, err := archboot.Verify(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		faults := map[string]string{}
		for _, p := range list {
			faults[p.Path] = p.String()
		}
		return faults
	}
	before := verify()
	if len(before) > 0 {
		t.Errorf("a fresh root has problems: %q", before)
	}
	in := func(name string) string { return filepath.Join(root, name) }
	err := errors.Join(
		os.WriteFile(in("usr/bin/cat"), []byte("#!/bin/sh\n"), 0),
		os.Chmod(in("usr/bin/ls"), 0o755|fs.ModeSetuid),
		os.Chown(in("usr/bin/mv"), 7, 7),
		os.Remove(in("usr/bin/cp")),
		os.WriteFile(in("usr/bin/backdoor"), nil, 0o755), os.Chmod(in("usr/bin/backdoor"), 0o755|fs.ModeSetuid),
	)
	if err != nil {
		t.Fatal(err)
	}
	after := verify()
	for name, want := range map[string]string{
		"/usr/bin/cat": "another content", "/usr/bin/ls": "has mode", "/usr/bin/mv": "belongs to 7:7",
		"/usr/bin/cp": "missing", "/usr/bin/backdoor": "setuid",
	} {
		if !strings.Contains(after[name], want) {
			t.Errorf("%s: %q, want %q", name, after[name], want)
		}
	}
}

// TestSameTreeEveryWay makes one Config twice by the host's pacman, once by a
// bootstrap tarball of each form and once of a base, and compares what came out.
func TestSameTreeEveryWay(t *testing.T) {
	needRoot(t)
	m := debianMirror(t, archtest.Trixie)
	cache := t.TempDir()
	base := t.TempDir()
	common := bootstrapConfig(m)
	common.Hostname, common.CacheDir = "", cache
	if err := archboot.Bootstrap(t.Context(), base, common); err != nil {
		t.Fatal(err)
	}
	var manifests []archboot.Manifest
	sources := []archboot.Source{
		{Method: archboot.MethodPacman},
		{Base: base}, // which is by pacman, too, another time
		{Method: archboot.MethodTarball, Tarball: m.BootstrapURL(), Fingerprints: []string{m.Fingerprint()}},
		{Method: archboot.MethodTarball, Tarball: strings.TrimSuffix(m.BootstrapURL(), "zst") + "gz", Fingerprints: []string{m.Fingerprint()}},
	}
	for _, source := range sources {
		c := bootstrapConfig(m)
		c.CacheDir, c.Source = cache, source
		root := t.TempDir()
		if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
			t.Fatal(err)
		}
		assertNoTrace(t, root, "")
		got, err := archboot.ReadManifest(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		manifests = append(manifests, got)
	}
	if n := len(manifests[0].Files); n < 3000 {
		t.Errorf("only %d files", n)
	}
	for i, source := range sources[1:] {
		if lines := manifests[0].Diff(manifests[i+1], archboot.VolatilePaths()); len(lines) > 0 {
			t.Errorf("by pacman and by %+v:\n%s", source, strings.Join(lines, "\n"))
		}
	}
}

func TestTarballRefused(t *testing.T) {
	needRoot(t)
	m := debianMirror(t, archtest.Trixie)
	stranger := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic})
	dir := t.TempDir()
	name := filepath.Join(dir, "bootstrap.tar.zst")
	download(t, m.BootstrapURL(), name)
	download(t, m.BootstrapURL()+".sig", name+".sig")
	flipped := filepath.Join(dir, "flipped.tar.zst")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(flipped, data, 0o644); err != nil {
		t.Fatal(err)
	}
	good := archboot.Source{Method: archboot.MethodTarball, Tarball: name, Fingerprints: []string{m.Fingerprint()}}
	for _, test := range []struct {
		name   string
		change func(*archboot.Config)
		want   error
	}{
		{"damaged", func(c *archboot.Config) { c.Source.Tarball, c.Source.Signature = flipped, name+".sig" }, archboot.ErrSignature},
		{"wrong sum", func(c *archboot.Config) { c.Source.SHA256 = strings.Repeat("0", 64) }, archboot.ErrCorrupt},
		{"no signature", func(c *archboot.Config) { c.Source.Tarball = flipped }, archboot.ErrSignature},
		{"another key", func(c *archboot.Config) { c.Keys = [][]byte{stranger.PublicKey()} }, archboot.ErrSignature},
		{"another fingerprint", func(c *archboot.Config) { c.Source.Fingerprints = []string{stranger.Fingerprint()} }, archboot.ErrSignature},
		{"no fingerprint", func(c *archboot.Config) { c.Source.Fingerprints = nil }, archboot.ErrInvalid},
		{"unsigned without sum", func(c *archboot.Config) { c.Source.Unsigned = true }, archboot.ErrInvalid},
		{"no tarball", func(c *archboot.Config) { c.Source.Tarball = "" }, archboot.ErrInvalid},
		{"missing file", func(c *archboot.Config) { c.Source.Tarball = "/nonexistent" }, os.ErrNotExist},
		{"missing URL", func(c *archboot.Config) { c.Source.Tarball = m.URL + "/nosuch" }, archboot.ErrMirror},
		{"dead server", func(c *archboot.Config) { c.Source.Tarball = "http://127.0.0.1:1/x" }, archboot.ErrMirror},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := bootstrapConfig(m)
			c.Source = good
			test.change(&c)
			root := t.TempDir()
			if err := archboot.Bootstrap(t.Context(), root, c); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			assertEmpty(t, root)
		})
	}
}

// packed is a bootstrap tarball with one file in it.
func packed(t *testing.T, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "root.x86_64/version", Mode: 0o644, Size: int64(len(content))})
	if _, writeErr := w.Write([]byte(content)); errors.Join(err, writeErr, w.Close()) != nil {
		t.Fatal(err, writeErr)
	}
	return b.Bytes()
}

// TestTarballChangedAfterVerification exchanges the content of a tarball that was found
// to be good: nothing of it may be run.
func TestTarballChangedAfterVerification(t *testing.T) {
	t.Parallel()
	needRoot(t)
	name := filepath.Join(t.TempDir(), "bootstrap.tar")
	good := packed(t, "good")
	if err := os.WriteFile(name, good, 0o644); err != nil {
		t.Fatal(err)
	}
	c := configFor(synthetic(t))
	c.Source = archboot.Source{Method: archboot.MethodTarball, Tarball: name, Unsigned: true, SHA256: fmt.Sprintf("%x", sha256.Sum256(good))}
	c.Progress = func(e archboot.Event) {
		if strings.HasPrefix(e.Text, "unpack ") {
			if err := os.WriteFile(name, packed(t, "evil"), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); !errors.Is(err, archboot.ErrCorrupt) {
		t.Errorf("got %v, want %v", err, archboot.ErrCorrupt)
	}
	assertEmpty(t, root)
}
