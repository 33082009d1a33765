package archboot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

func TestCacheBuildsOnce(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	cache := archboot.Cache{Dir: filepath.Join(t.TempDir(), "bases[1]")} // which is no pattern
	var mu sync.Mutex
	built := 0
	config := configFor(m)
	config.MachineRepositories = config.Repositories
	config.Progress = func(e archboot.Event) {
		if e.Kind == archboot.EventPlan {
			mu.Lock()
			built++
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	roots := make([]string, 4)
	for i := range roots {
		wg.Go(func() {
			var err error
			if roots[i], err = cache.Base(t.Context(), config); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if built != 1 {
		t.Errorf("built %d times", built)
	}
	for _, r := range roots {
		if r != roots[0] {
			t.Errorf("roots %q", roots)
		}
	}
	if info, err := os.Stat(cache.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the cache's directory: %v, %v", info.Mode(), err)
	}
	// With the mirror gone, the base is still good, and that is said.
	warned := ""
	config.Progress = func(e archboot.Event) { warned += e.String() }
	config.Repositories = []archboot.Repository{{Name: "test", Servers: []string{"http://127.0.0.1:1"}, SigLevel: "Required"}}
	if root, err := cache.Base(t.Context(), config); err != nil || root != roots[0] || !strings.Contains(warned, "no mirror answers") {
		t.Errorf("without a mirror: %q, %v, %q", root, err, warned)
	}
}

func TestCacheAfterKillAndFailure(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := synthetic(t)
	dir := t.TempDir()
	made, removed := 0, 0
	cache := archboot.Cache{
		Dir:    dir,
		Make:   func(path string) error { made++; return os.Mkdir(path, 0o755) },
		Remove: func(path string) error { removed++; return os.RemoveAll(path) },
	}
	broken := configFor(m)
	broken.Packages = []string{"nosuch"}
	if _, err := cache.Base(t.Context(), broken); !errors.Is(err, archboot.ErrUnknownPackage) {
		t.Errorf("got %v", err)
	}
	root, err := cache.Base(t.Context(), configFor(m))
	if err != nil {
		t.Fatal(err)
	}
	// What a process leaves that is killed while it builds.
	unfinished := filepath.Join(dir, "."+filepath.Base(root)+".new")
	if err := os.Rename(root, unfinished); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unfinished, "half"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := cache.Base(t.Context(), configFor(m)); err != nil || again != root {
		t.Errorf("after a kill: %q, %v", again, err)
	}
	if _, err := os.Lstat(filepath.Join(root, "half")); err == nil {
		t.Error("the remains were used")
	}
	if made != 3 || removed != 2 {
		t.Errorf("made %d, removed %d directories; want 3 and 2", made, removed)
	}
	withPassword := configFor(m)
	withPassword.Password = strings.NewReader("x")
	if _, err := cache.Base(t.Context(), withPassword); !errors.Is(err, archboot.ErrInvalid) {
		t.Errorf("a base with a password: %v", err)
	}
}

// TestMachinesPacmanAtWork: the machine's own pacman begins while ours is being prepared.
// Its lock and what it has fetched stay, also when ours is given up.
func TestMachinesPacmanAtWork(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c, root := configFor(synthetic(t)), t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	lock, fetched := filepath.Join(root, "var/lib/pacman/db.lck"), filepath.Join(root, "var/cache/pacman/pkg/fetched")
	for want, giveUp := range map[error]bool{archboot.ErrBusy: false, context.Canceled: true} {
		ctx, cancel := context.WithCancel(t.Context())
		c.Progress = func(e archboot.Event) {
			if !strings.HasPrefix(e.Text, "fetch packages as ") { // the last step before
				return
			}
			if err := errors.Join(os.WriteFile(lock, nil, 0), os.WriteFile(fetched, nil, 0o644)); err != nil {
				t.Error(err)
			}
			if giveUp {
				cancel()
			}
		}
		if err := archboot.Install(ctx, root, c, "units"); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		cancel()
		if err := errors.Join(os.Remove(lock), os.Remove(fetched)); err != nil {
			t.Errorf("%v: %v", want, err)
		}
	}
}

func TestInstallUpgradeRemove(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := debianMirror(t, archtest.Trixie)
	c := bootstrapConfig(m)
	c.Packages, c.Services, c.Locale = []string{"base"}, []string{"systemd-networkd.service"}, ""
	c.CacheDir = t.TempDir()
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	before, err := archboot.ReadManifest(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if err := archboot.Install(t.Context(), root, c, "dash"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin/dash")); err != nil {
		t.Error(err)
	}
	if err := archboot.Upgrade(t.Context(), root, c); err != nil {
		t.Error(err)
	}
	if err := archboot.Install(t.Context(), root, c, "nosuch"); !errors.Is(err, archboot.ErrUnknownPackage) {
		t.Errorf("an unknown package: %v", err)
	}
	if err := archboot.Remove(t.Context(), root, c, "dash"); err != nil {
		t.Error(err)
	}
	after, err := archboot.ReadManifest(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if lines := before.Diff(after, append(archboot.VolatilePaths(), "/etc/ld.so.cache")); len(lines) > 0 {
		t.Errorf("installed and removed, and yet different:\n%s", strings.Join(lines, "\n"))
	}
	assertNoTrace(t, root, "")
	if err := archboot.Install(t.Context(), t.TempDir(), c, "dash"); !errors.Is(err, archboot.ErrBadRoot) {
		t.Errorf("install in an empty directory: %v", err)
	}
}
