package stage_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/stage"
)

// TestUnchangedFilesAreNotRead has a wrong hash in the cache, which is believed until
// anything about the file tells that it changed.
func TestUnchangedFilesAreNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	past := time.Now().Add(-time.Hour)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	plan := single("one")
	plan.Setups[0].Stages[0].Inputs = []stage.Input{{File: file}, {File: fresh}}
	f := newFixture(t, plan)
	key := func() string {
		t.Helper()
		decisions, err := f.lab().Preview(context.Background(), stage.Steering{})
		if err != nil {
			t.Fatal(err)
		}
		return decisions[0].Key
	}
	write(file, "content")
	write(fresh, "content")
	future := time.Now().Add(time.Hour)
	<-time.After(2100 * time.Millisecond)                     // a file is remembered only when it is that old
	if err := os.Chtimes(fresh, future, future); err != nil { // as with a clock that was set back
		t.Fatal(err)
	}
	right := key()
	cache := filepath.Join(f.opts.StateDir, "hashes")
	data, err := os.ReadFile(cache)
	if err != nil || strings.Count(string(data), "\n") != 2 || !strings.Contains(string(data), `/old"`) {
		t.Fatalf("remembered: %s, %v", data, err)
	}
	sum := strings.Fields(strings.SplitN(string(data), "\n", 3)[1])[5]
	if err := os.WriteFile(cache, []byte(strings.Replace(string(data), sum, strings.Repeat("0", 64), 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if key() == right {
		t.Error("the file was read although nothing about it changed")
	}
	write(file, "content") // same size and modification time; the change time tells
	if key() != right {
		t.Error("a file that was written again was not read")
	}
	for _, damaged := range []string{"", "rig hashes 1\nnonsense\n", "\x00\x00", "rig hashes 1\n1 2 3"} {
		if err := os.WriteFile(cache, []byte(damaged), 0o644); err != nil {
			t.Fatal(err)
		}
		if key() != right {
			t.Errorf("a cache of %q makes another key", damaged)
		}
	}
}
