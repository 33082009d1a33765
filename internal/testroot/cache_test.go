package testroot

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestOnceBuildsOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	var builds atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := Once(t.Context(), dir, "root", func(_ context.Context, path string) error {
				builds.Add(1)
				return os.Mkdir(path, 0o755)
			})
			if want := filepath.Join(dir, "root"); got != want || err != nil {
				t.Errorf("Once = %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestOnceFailed(t *testing.T) {
	dir := t.TempDir()
	fault := errors.New("no space")
	_, err := Once(t.Context(), dir, "root", func(_ context.Context, path string) error {
		return errors.Join(os.Mkdir(path, 0o755), fault)
	})
	if !errors.Is(err, fault) {
		t.Errorf("Once = %v, want %v", err, fault)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "root.lock" {
		t.Errorf("a failed build left %v, %v", left, err)
	}
}

func TestOnceGivesUpWaiting(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(t.Context(), filepath.Join(dir, "root.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Once(ctx, dir, "root", func(context.Context, string) error {
		t.Error("built although another process builds")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Once = %v, want %v", err, context.Canceled)
	}
}

// TestOnceKilled kills a process in the middle of a build.
func TestOnceKilled(t *testing.T) {
	if dir := os.Getenv("TESTROOT_BUILD_AND_HANG"); dir != "" {
		_, _ = Once(t.Context(), dir, "root", func(_ context.Context, path string) error {
			if err := os.WriteFile(path, []byte("half"), 0o644); err != nil {
				return err
			}
			_, _ = os.Stdout.WriteString("building\n")
			_, err := io.Copy(io.Discard, os.Stdin) // for ever
			return err
		})
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOnceKilled$")
	cmd.Env = append(os.Environ(), "TESTROOT_BUILD_AND_HANG="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "building\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := os.Stat(filepath.Join(dir, "root")); err == nil {
		t.Fatal("half a build stands under the final name")
	}
	root, err := Once(t.Context(), dir, "root", func(_ context.Context, path string) error {
		if _, err := os.Stat(path); err == nil {
			t.Error("the broken-off build was not swept")
		}
		return os.WriteFile(path, []byte("whole"), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(root); string(text) != "whole" {
		t.Errorf("the root is %q", text)
	}
}
