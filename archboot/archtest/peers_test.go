package archtest

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/prologin/rig/archboot/archtest/alpm"
	"github.com/prologin/rig/archboot/archtest/internal/pgp"
)

// numbered makes packages with something of everything.
func numbered(n int) []alpm.Package {
	var list []alpm.Package
	for i := range n {
		name := fmt.Sprintf("package-%03d", i)
		list = append(list, alpm.Package{
			Name: name, Version: fmt.Sprintf("1:%d.0-1", i), Description: "number " + name, Arch: "x86_64",
			URL: "https://example.invalid/", Licenses: []string{"MIT", "custom:odd"}, Groups: []string{"numbers"},
			Depends: []string{"bash", "glibc>=2"}, OptDepends: []string{"vim: to look"}, Provides: []string{"number=1"},
			Conflicts: []string{"letter"}, Replaces: []string{"digit"}, BuildDate: time.Unix(1_700_000_000, 0),
			Packager: "Somebody <somebody@example.invalid>", Backup: []string{"etc/" + name},
			Files: []alpm.File{
				{Path: "etc/" + name, Mode: 0o644, Data: []byte(name)},
				{Path: "usr/bin/" + name, Mode: 0o755, Data: make([]byte, 10_000)},
			},
		})
	}
	return list
}

// written writes a signed repository and returns its directory.
func written(t testing.TB, packages []alpm.Package) (string, *pgp.Key) {
	t.Helper()
	key, err := pgp.New(keyName, time.Now().Add(-time.Hour), 0)
	if err != nil {
		t.Fatal(err)
	}
	www := t.TempDir()
	w := &repoWriter{key: key, now: time.Now(), report: func(Event) {}}
	if _, err := w.write(t.Context(), www, "repo", packages); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(www, "repo/os", arch), key
}

// database reads what a repository database says of each package, section by
// section.
func database(t *testing.T, file string) map[string]map[string][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]map[string][]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(strings.TrimPrefix(h.Name, "./"))
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if entries[dir] == nil {
			entries[dir] = map[string][]string{}
		}
		for part := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
			lines := strings.Split(part, "\n")
			entries[dir][lines[0]] = lines[1:]
		}
	}
}

// TestRepoAddAgrees compares our databases with those that pacman's own repo-add
// makes of the same packages.
func TestRepoAddAgrees(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"repo-add", "bsdtar"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs the program " + program)
		}
	}
	ours, _ := written(t, numbered(3))
	packages, err := filepath.Glob(filepath.Join(ours, "*.pkg.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "repo-add",
		append([]string{"--quiet", filepath.Join(theirs, "repo.db.tar.gz")}, packages...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("repo-add: %v\n%s", err, out)
	}
	for name, file := range map[string]string{"repo.db": "repo.db.tar.gz", "repo.files": "repo.files.tar.gz"} {
		want, got := database(t, filepath.Join(theirs, file)), database(t, filepath.Join(ours, name))
		if len(want) != 3 {
			t.Errorf("repo-add listed %d packages of 3", len(want))
		}
		for _, entry := range want {
			delete(entry, "%MD5SUM%") // no pacman since 6.0 looks at it
			delete(entry, "%PGPSIG%") // optional: pacman gets the .sig file
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-repo-add +ours):\n%s", name, diff)
		}
	}
}

// TestGnuPGAgrees has gpg check our key and our signatures.
func TestGnuPGAgrees(t *testing.T) {
	t.Parallel()
	gpg := newGnuPG(t)
	dir, key := written(t, numbered(1))
	public, err := key.Public()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.asc")
	if err := os.WriteFile(file, public, 0o644); err != nil {
		t.Fatal(err)
	}
	gpg.run(t, "--import", file)
	signatures, err := filepath.Glob(filepath.Join(dir, "*.sig"))
	if err != nil || len(signatures) != 3 {
		t.Fatalf("signatures %q, %v", signatures, err)
	}
	for _, sig := range signatures {
		out := gpg.run(t, "--status-fd=1", "--verify", sig, strings.TrimSuffix(sig, ".sig"))
		if !strings.Contains(out, "[GNUPG:] VALIDSIG "+key.Fingerprint()) {
			t.Errorf("%s:\n%s", sig, out)
		}
	}
}

// gnupg is a GnuPG home of the test's own.
type gnupg struct{ home string }

func newGnuPG(t testing.TB) gnupg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("needs the program gpg")
	}
	// The agent's socket has to fit into 107 bytes.
	home, err := os.MkdirTemp("", "gpg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	return gnupg{home}
}

func (g gnupg) run(t testing.TB, args ...string) string {
	t.Helper()
	args = append([]string{"--homedir", g.home, "--batch", "--no-tty"}, args...)
	out, err := exec.Command("gpg", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("gpg %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// BenchmarkSignAndIndex compares packing, signing and listing packages with only
// signing and listing them by gpg and repo-add.
func BenchmarkSignAndIndex(b *testing.B) {
	if _, err := exec.LookPath("repo-add"); err != nil {
		b.Skip("needs the program repo-add")
	}
	gpg := newGnuPG(b)
	gpg.run(b, "--passphrase", "", "--quick-generate-key", "bench", "ed25519", "sign", "never")
	packages := numbered(50)
	var ours, theirs []time.Duration
	for b.Loop() {
		start := time.Now()
		dir, _ := written(b, packages)
		ours = append(ours, time.Since(start))

		files, err := filepath.Glob(filepath.Join(dir, "*.pkg.tar.zst"))
		if err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		signAndIndex(b, gpg, b.TempDir(), files)
		theirs = append(theirs, time.Since(start))
	}
	us, they := median(ours), median(theirs)
	fmt.Printf("ratio archtest-sign %.3f %.3f %.1f\n", us.Seconds(), they.Seconds(), they.Seconds()/us.Seconds())
}

func signAndIndex(b *testing.B, gpg gnupg, dir string, files []string) {
	b.Helper()
	sign := func(file string) {
		gpg.run(b, "--yes", "--detach-sign", "--output", filepath.Join(dir, filepath.Base(file)+".sig"), file)
	}
	for _, file := range files {
		sign(file)
	}
	db := filepath.Join(dir, "repo.db.tar.gz")
	if out, err := exec.Command("repo-add", append([]string{"--quiet", db}, files...)...).CombinedOutput(); err != nil {
		b.Fatalf("repo-add: %v\n%s", err, out)
	}
	sign(db)
	sign(filepath.Join(dir, "repo.files.tar.gz"))
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkStartWarm starts mirrors that are in the cache.
func BenchmarkStartWarm(b *testing.B) {
	o := Options{CacheDir: os.Getenv("RIG_CACHE")}
	NewMirror(b, o)
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		m, err := Start(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
	fmt.Printf("figure archtest-warm %v (median of %d)\n", median(times).Round(time.Microsecond), len(times))
}
