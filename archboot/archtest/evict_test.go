package archtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEvict(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	const (
		old  = "mirror-trixie-0123456789ab+bind+python-psycopg2"
		used = "mirror-sid-0123456789ab"
		new  = "mirror-bookworm-0123456789ab"
	)
	strangers := []string{"testroot", "mirror-of-mine", ".evicted-by-me"}
	const killed = ".evicted-mirror-trixie-000000000000" // by an eviction that did not end
	longAgo := time.Now().Add(-2 * keepUnused)
	for _, name := range append(strangers, old, old+".tmp-1", used, new, killed) {
		dir := filepath.Join(cache, name)
		if err := os.MkdirAll(filepath.Join(dir, "www"), 0o755); err != nil {
			t.Fatal(err)
		}
		if name != new {
			if err := os.Chtimes(dir, longAgo, longAgo); err != nil {
				t.Fatal(err)
			}
		}
	}
	release, err := hold(filepath.Join(cache, used))
	if err != nil {
		t.Fatal(err)
	}
	// As if it had run for long.
	if err := os.Chtimes(filepath.Join(cache, used), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	check := func(want ...string) {
		t.Helper()
		if err := evict(cache, keepUnused, keepMost); err != nil {
			t.Error(err)
		}
		want = append(want, strangers...)
		slices.Sort(want)
		if got := names(t, cache); !slices.Equal(got, want) {
			t.Errorf("the cache holds %q, want %q", got, want)
		}
	}
	check(used, new)
	release()
	again, err := hold(filepath.Join(cache, used)) // marks it as used now
	if err != nil {
		t.Fatal(err)
	}
	again()
	check(used, new)
	if err := os.Chtimes(filepath.Join(cache, used), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	check(new)
}

// TestEvictMany keeps the mirrors that were used last, and what is being built.
func TestEvictMany(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	ages := []struct {
		name string
		used time.Duration // ago
		want bool
	}{
		{"mirror-trixie-000000000000", 5 * time.Hour, true}, // in use
		{"mirror-trixie-000000000001", 4 * time.Hour, false},
		{"mirror-sid-000000000001+0123456789ab", 3 * time.Hour, false},
		{"mirror-sid-000000000002.tmp-1", 6 * time.Hour, true},
		{"mirror-bookworm-000000000002", 2 * time.Hour, true},
		{"mirror-trixie-000000000002", time.Hour, true},
	}
	var want []string
	for _, c := range ages {
		dir, used := filepath.Join(cache, c.name), time.Now().Add(-c.used)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chtimes(dir, used, used)); err != nil {
			t.Fatal(err)
		}
		if c.want {
			want = append(want, c.name)
		}
	}
	held := filepath.Join(cache, ages[0].name)
	release, err := hold(held)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	longAgo := time.Now().Add(-5 * time.Hour)
	if err := os.Chtimes(held, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	if err := evict(cache, keepUnused, 2); err != nil {
		t.Error(err)
	}
	slices.Sort(want)
	if got := names(t, cache); !slices.Equal(got, want) {
		t.Errorf("the cache holds %q, want %q", got, want)
	}
}

// TestHoldEvicted holds an entry whose eviction has begun: it is waited for, and the
// caller is told to build another.
func TestHoldEvicted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mirror-trixie-0123456789ab")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	evictor, err := os.Open(dir)
	if err == nil {
		defer evictor.Close()
		err = unix.Flock(int(evictor.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan error)
	go func() {
		_, err := hold(dir)
		held <- err
	}()
	awaitWaiter(t, evictor)
	if err := os.Rename(dir, dir+".evicted"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(evictor.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-held; !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("hold: %v", err)
	}
}

// awaitWaiter waits until somebody waits for the lock on a file, see proc_locks(5).
func awaitWaiter(t *testing.T, f *os.File) {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	waiter := regexp.MustCompile(fmt.Sprintf(`-> FLOCK .*:%d `, info.Sys().(*syscall.Stat_t).Ino))
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(time.Millisecond) {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		if waiter.Match(locks) {
			return
		}
	}
	t.Fatal("nobody waits for the lock")
}

// TestEvictRebuilt: an entry that took the place of the one that was to be evicted stays.
func TestEvictRebuilt(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	dir := filepath.Join(cache, "mirror-trixie-0123456789ab")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o755), evictOpened(f, dir)); err != nil {
		t.Error(err)
	}
	if got := names(t, cache); len(got) != 1 {
		t.Errorf("the cache holds %q, want the new entry", got)
	}
}
