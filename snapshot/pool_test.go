package snapshot

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPoolRefuses(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	path, mnt := filepath.Join(dir, "pool"), filepath.Join(dir, "mnt")
	_, err := CreatePool(t.Context(), path, MinPoolSize-1, mnt)
	wantErr(t, err, ErrInvalid)
	_, err = OpenPool(t.Context(), path, mnt)
	wantErr(t, err, ErrNotFound)
	_, err = CreatePool(t.Context(), filepath.Join(dir, "missing", "pool"), MinPoolSize, mnt)
	wantErr(t, err, ErrNotFound)
	nothingLeft(t, dir)
	write(t, path, "precious")
	_, err = CreatePool(t.Context(), path, MinPoolSize, mnt)
	wantErr(t, err, ErrExists)
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Error("the file was touched")
	}
}

func TestNoMkfs(t *testing.T) {
	t.Parallel()
	_, err := findMkfs("no-such-mkfs.btrfs")
	err = wrap(Error{Op: "create pool"}, err)
	wantErr(t, err, ErrMissingProgram)
	if !strings.Contains(err.Error(), "btrfs-progs") {
		t.Errorf("does not say what to install: %v", err)
	}
}

// TestPoolShared: the last to close it unmounts it, whoever that is.
func TestPoolShared(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	path, mnt := filepath.Join(dir, "pool"), filepath.Join(dir, "mnt")
	one, err := CreatePool(t.Context(), path, MinPoolSize, mnt)
	if err != nil {
		t.Fatal(err)
	}
	two, err := OpenPool(t.Context(), path, mnt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenPool(t.Context(), path, filepath.Join(dir, "elsewhere"))
	wantErr(t, err, ErrBusy)
	if err := os.Remove(filepath.Join(dir, "elsewhere")); err != nil {
		t.Error(err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(two.Dir(), "f"), "kept")
	f, err := os.Open(two.Dir())
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, two.Close(), ErrBusy)
	if err := errors.Join(f.Close(), two.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(mnt, "f")); err == nil {
		t.Error("still mounted after the last close")
	}
	again, err := OpenPool(t.Context(), path, mnt)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(mnt, "f")); string(text) != "kept" {
		t.Error(string(text), err)
	}
	if err := again.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, dir)
}

// TestPoolAndFork: a child that is being started has what its parent has open, and holds
// no share of a pool for that.
func TestPoolAndFork(t *testing.T) {
	t.Parallel()
	p := newPool(t, MinPoolSize)
	again, err := OpenPool(t.Context(), p.Path(), p.Dir())
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.Dup(int(again.image.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if last, err := p.close(func() error { return nil }); err != nil || !last {
		t.Errorf("closed as the last: %v, %v", last, err)
	}
	if p.image, err = os.OpenFile(p.Path(), os.O_RDWR, 0); err != nil { // for newPool to destroy
		t.Fatal(err)
	}
}

// TestPoolDestroyedMeanwhile: whoever opened the file of a pool and waits for its lock
// while it is destroyed mounts nothing that has no name any more.
func TestPoolDestroyedMeanwhile(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "pool")
	p, err := CreatePool(t.Context(), path, MinPoolSize, filepath.Join(dir, "mnt"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	late := &Pool{path: path, image: image}
	if err := p.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := late.open(t.Context(), filepath.Join(dir, "mnt")); !errors.Is(err, ErrNotFound) {
		t.Errorf("opened: %v, want ErrNotFound", err)
	}
	if err := late.leave(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, dir)
}

// TestPoolMadeMeanwhile: whoever opened a draft, and locked it when it was a pool already,
// leaves it alone.
func TestPoolMadeMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	draft := filepath.Join(dir, ".pool.new")
	late, err := os.OpenFile(draft, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := os.Rename(draft, filepath.Join(dir, "pool")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // with nothing at the draft's name, and with the next one's
		if err := lockDraft(late, draft); !errors.Is(err, ErrBusy) {
			t.Errorf("locked: %v, want ErrBusy", err)
		}
		write(t, draft, "")
	}
}

// TestPoolAfterKill: a process that opened a pool, or is making one, dies.
func TestPoolAfterKill(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for _, point := range []string{"-", "size pool", "format pool", "rename to pool", "mount pool"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, mnt := filepath.Join(dir, "pool"), filepath.Join(dir, "mnt")
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), roleVariable+"=pool", "SNAPSHOT_TEST_DIR="+dir, "SNAPSHOT_TEST_POINT="+point)
			if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("not killed: %v: %s", err, out)
			}
			p, err := OpenPool(t.Context(), path, mnt)
			if errors.Is(err, ErrNotFound) && point != "-" {
				p, err = CreatePool(t.Context(), path, MinPoolSize, mnt)
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), p.Dir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			wantErr(t, p.Destroy(t.Context()), ErrBusy)
			if err := errors.Join(s.Close(), p.Destroy(t.Context())); err != nil {
				t.Error(err)
			}
			nothingLeft(t, dir)
		})
	}
}

func TestPoolGrow(t *testing.T) {
	t.Parallel()
	p := newPool(t, MinPoolSize)
	wantErr(t, p.Grow(t.Context(), MinPoolSize/2), ErrInvalid)
	if err := p.Grow(t.Context(), 3*MinPoolSize); err != nil {
		t.Fatal(err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(p.Dir(), &st); err != nil {
		t.Fatal(err)
	}
	if got := int64(st.Blocks) * st.Bsize; got != 3*MinPoolSize {
		t.Errorf("grown to %d bytes, want %d", got, 3*MinPoolSize)
	}
}

// TestPoolCheck: one byte of a file is changed behind the file system's back.
func TestPoolCheck(t *testing.T) {
	t.Parallel()
	p := newPool(t, MinPoolSize)
	mark := strings.Repeat("a mark that is found nowhere else ", 1000)
	write(t, filepath.Join(p.Dir(), "f"), mark)
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	image, err := os.ReadFile(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(image, []byte(mark[:4096]))
	if at < 0 {
		t.Fatal("the file is not in the pool")
	}
	f, err := os.OpenFile(p.Path(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("A"), int64(at))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	err = p.Check(t.Context())
	wantErr(t, err, ErrCorrupt)
	if !strings.Contains(err.Error(), "1 blocks with a wrong checksum") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, p.Check(ctx), context.Canceled)
}
