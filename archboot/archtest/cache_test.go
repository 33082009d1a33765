package archtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fill makes an entry with one file.
func fill(dir string) error {
	mirror := filepath.Join(dir, "mirror")
	if err := os.Mkdir(mirror, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(mirror, "file"), []byte("content"), 0o644)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestEnsureBuildsOnce(t *testing.T) {
	t.Parallel()
	e := entry{dir: filepath.Join(t.TempDir(), "new"), stem: "mirror"}
	var built atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, err := e.ensure(t.Context(), func() {}, func(dir string) error {
				built.Add(1)
				return fill(dir)
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(e.path(), "file")); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := built.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestEnsureFails(t *testing.T) {
	t.Parallel()
	e := entry{dir: t.TempDir(), stem: "mirror"}
	fault := errors.New("no")
	_, err := e.ensure(t.Context(), func() {}, func(dir string) error {
		if err := fill(dir); err != nil {
			return err
		}
		return fault
	})
	if !errors.Is(err, fault) {
		t.Errorf("got %v, want %v", err, fault)
	}
	if left := names(t, e.dir); len(left) != 1 || left[0] != "mirror.lock" {
		t.Errorf("a failed build left %q", left)
	}
}

func TestEnsureSweeps(t *testing.T) {
	t.Parallel()
	e := entry{dir: filepath.Join(t.TempDir(), "cache[1]"), stem: "mirror"}
	if err := os.MkdirAll(filepath.Join(e.path()+".tmp-1", "mirror"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(e.dir, "other.tmp-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := e.ensure(t.Context(), func() {}, fill); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(names(t, e.dir), " "), "mirror mirror.lock other.tmp-1"; got != want {
		t.Errorf("directory has %q, want %q", got, want)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cache[1]") // which is no pattern
	entries := []entry{
		{stem: "mirror-a", addOns: []string{"bind", "nginx"}},
		{stem: "mirror-a", addOns: []string{"bind", "dhcp", "nginx"}},
		{stem: "mirror-b"},
		{stem: "mirror-b", addOns: []string{"nfs"}},
		{stem: "mirror-ab"},
	}
	for i := range entries {
		entries[i].dir = dir
		if _, err := entries[i].ensure(t.Context(), func() {}, fill); err != nil {
			t.Fatal(err)
		}
	}
	// What a killed build leaves is whole below its temporary directory at best.
	half := entry{dir: dir, stem: "mirror-a", addOns: []string{"nfs"}}
	if err := os.MkdirAll(filepath.Join(half.path()+".tmp-1", "mirror"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stem   string
		addOns []string
		want   int // of the entries; -1: none
	}{
		{"mirror-a", nil, 0},
		{"mirror-a", []string{"nginx"}, 0},
		{"mirror-a", []string{"dhcp", "nginx"}, 1},
		{"mirror-a", []string{"nfs"}, -1},
		{"mirror-a", []string{"dhcp", "nfs"}, -1},
		{"mirror-b", nil, 2},
		{"mirror-c", nil, -1},
	} {
		want := ""
		if c.want >= 0 {
			want = entries[c.want].path()
		}
		if got, ok := (entry{dir: dir, stem: c.stem, addOns: c.addOns}).find(); got != want || ok != (want != "") {
			t.Errorf("%s with %q: got %q, want %q", c.stem, c.addOns, got, want)
		}
	}
}

// TestEntryName: a file's name has at most 255 bytes, and a build appends to it.
func TestEntryName(t *testing.T) {
	t.Parallel()
	for _, suite := range []Suite{Bookworm, Trixie, Sid} {
		e := cacheEntry(Options{Suite: suite, AddOns: AddOns(suite)})
		if name := filepath.Base(e.path()); len(name) > 64 || !entryName.MatchString(name) || !entryName.MatchString(name+".tmp-1234567890") {
			t.Errorf("the name of a mirror with all add-ons is %q", name)
		}
	}
}

func TestEnsureWaits(t *testing.T) {
	t.Parallel()
	e := entry{dir: t.TempDir(), stem: "mirror"}
	unlock, err := e.lock(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancelCause(t.Context())
	tired := errors.New("tired of waiting")
	_, err = e.ensure(ctx, func() { cancel(tired) }, fill)
	if !errors.Is(err, tired) {
		t.Errorf("got %v, want %v", err, tired)
	}
	if _, ok := e.find(); ok {
		t.Error("built under another's lock")
	}
}

// TestBuildKilled kills a process in the middle of a real build: nothing of it may
// go on, and the next build starts afresh.
func TestBuildKilled(t *testing.T) {
	if dir := os.Getenv("ARCHTEST_BUILD_IN"); dir != "" {
		_, err := Start(t.Context(), Options{CacheDir: dir, Progress: func(e Event) {
			os.Stdout.WriteString(e.Message + "\n")
		}})
		t.Fatal("not killed", err)
	}
	if testing.Short() {
		t.Skip("starts to build a distribution")
	}
	if err := preflight(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestBuildKilled$")
	cmd.Env = append(os.Environ(), "ARCHTEST_BUILD_IN="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		t.Log(lines.Text())
		if strings.Contains(lines.Text(), "extracting archives") {
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("not killed: %v", err)
	}
	waitGone(t, dir)
	o, err := Options{CacheDir: dir}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	e := cacheEntry(o)
	if _, ok := e.find(); ok {
		t.Error("a killed build left a mirror")
	}
	if _, err := e.ensure(t.Context(), func() { t.Error("the dead still hold the lock") }, fill); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) != 2 {
		t.Errorf("directory has %q, want the mirror and its lock", left)
	}
}

// TestBuildCancelled interrupts a real build: it ends at once and leaves nothing.
func TestBuildCancelled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts to build a distribution")
	}
	if err := preflight(); err != nil {
		t.Skip(err)
	}
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := errors.New("interrupted")
	_, err := Start(ctx, Options{CacheDir: dir, Progress: func(e Event) {
		if strings.Contains(e.Message, "extracting archives") {
			cancel(interrupted)
		}
	}})
	if !errors.Is(err, interrupted) {
		t.Errorf("got %v, want %v", err, interrupted)
	}
	waitGone(t, dir)
	if left := names(t, dir); len(left) != 1 || !strings.HasSuffix(left[0], ".lock") {
		t.Errorf("the build left %q", left)
	}
}

// waitGone waits until no process has the directory in its command line, as every
// process of a build has or descends from one that has.
func waitGone(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var left []string
	for range 1000 {
		left = nil
		commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range commands {
			if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(dir)) {
				left = append(left, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
			}
		}
		if len(left) == 0 {
			return
		}
		<-tick.C
	}
	t.Errorf("processes of the build outlived it: %q", left)
}
