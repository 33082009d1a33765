package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestEvict(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	const (
		old  = "mirror-trixie-0123456789ab+bind+python-psycopg2"
		used = "mirror-sid-0123456789ab"
		new  = "mirror-bookworm-0123456789ab"
	)
	strangers := []string{"testroot", "mirror-of-mine"}
	longAgo := time.Now().Add(-2 * keepUnused)
	for _, name := range append(strangers, old, old+".tmp-1", used, new) {
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
		if err := evict(cache, keepUnused); err != nil {
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
