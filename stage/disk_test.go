package stage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/stagetest"
)

// smallDisk mounts a file system of the given size for this test only.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves that many bytes free, in whole pages, and returns what frees the rest.
func fill(t *testing.T, dir string, free int64) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	size := int64(0)
	for ; ; size += int64(len(page)) {
		if _, err := f.Write(page); err != nil {
			break
		}
	}
	if err := f.Truncate(max(0, size-free)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk has everything of a lab on a disk that becomes full at any point of a run.
// The run fails and says why, or gets by; once there is room again, the next one ends as
// an undisturbed run does.
func TestFullDisk(t *testing.T) {
	failed := 0
	for pages := range int64(48) {
		t.Run(fmt.Sprintf("%d pages free", pages), func(t *testing.T) {
			if fullDisk(t, pages*4096) {
				failed++
			}
		})
	}
	if failed < 5 && os.Geteuid() == 0 {
		t.Errorf("only %d runs found the disk full", failed)
	}
}

// fullDisk reports whether the run failed.
func fullDisk(t *testing.T, free int64) bool {
	dir := smallDisk(t, "4m")
	f := newFixture(t, single("one", "two", "three"))
	f.opts.StateDir = filepath.Join(dir, "state")
	v, err := stagetest.NewVolume(filepath.Join(dir, "gw"), nil)
	if err != nil {
		t.Fatal(err)
	}
	f.volumes["gw"], f.machines["gw"] = v, stagetest.NewMachine(v)
	f.run(stage.Steering{Until: "one"}, "gw/one")
	empty := fill(t, dir, free)
	_, err = f.lab().Run(context.Background(), stage.Steering{})
	if err != nil && !errors.Is(err, syscall.ENOSPC) && !strings.Contains(err.Error(), "no space left") {
		t.Errorf("the error does not say that the disk is full: %v", err)
	}
	failed := err != nil
	empty()
	if _, err := f.lab().Run(context.Background(), stage.Steering{}); err != nil {
		t.Errorf("next run: %v", err)
	}
	f.wantLog("gw", "one two three")
	return failed
}
