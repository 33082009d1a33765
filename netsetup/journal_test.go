package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func newJournal(t *testing.T) *journal {
	t.Helper()
	j, err := openJournal(filepath.Join(t.TempDir(), "br0.journal"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.file.Close() })
	return j
}

func names(objects []Object) string {
	var s []string
	for _, o := range objects {
		s = append(s, o.String())
	}
	return strings.Join(s, ", ")
}

func TestJournalSurvivesADyingWriter(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	for _, o := range []Object{newBridge("br0", 0), up{"br0"}, up{"other"}} {
		if err := j.adding(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.deleted(up{"other"}), j.settle(true, true)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(j.path)
	if err != nil {
		t.Fatal(err)
	}
	// Cut off at any byte, it is read as far as it goes, and can be written to.
	for cut := range len(whole) {
		if err := os.WriteFile(j.path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := openJournal(j.path, false)
		if err != nil {
			t.Fatalf("cut off after %d bytes: %v", cut, err)
		}
		if err := again.adding(up{"late"}); err != nil {
			t.Fatal(err)
		}
		again.file.Close()
		read, err := readJournal(j.path)
		if err != nil || read.find("link late up") == nil {
			t.Fatalf("cut off after %d bytes and written to, it says %s (%v)", cut, names(read.objects()), err)
		}
	}
	if err := os.WriteFile(j.path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := readJournal(j.path)
	if got := names(read.objects()); err != nil || got != "bridge br0, link br0 up" || !read.whole || !read.keep {
		t.Errorf("read back: %s, whole %v, keep %v (%v)", got, read.whole, read.keep, err)
	}
}

// TestJournalWithoutSpace: half of a line that there was no space for would make all that
// follows unreadable.
func TestJournalWithoutSpace(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	done := make(chan error)
	go ownThread(func() { done <- fillJournal(t, dir) }) // the mount goes with the thread
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func fillJournal(t *testing.T, dir string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		return err
	}
	j, err := openJournal(filepath.Join(dir, "br0.journal"), true)
	if err != nil {
		return err
	}
	defer j.file.Close()
	for i := 0; err == nil; i++ {
		err = j.adding(up{fmt.Sprint("link", i)})
	}
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	written := len(j.names)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=8k"); err != nil {
		return err
	}
	if err := j.deleted(up{"another"}); err != nil {
		return err
	}
	again, err := readJournal(j.path)
	if err == nil && len(again.names) != written {
		t.Errorf("%d objects are read back of %d", len(again.names), written)
	}
	return err
}

func TestJournalOfAnEarlierBoot(t *testing.T) {
	t.Parallel()
	j := newJournal(t)
	old := `{"boot":"00000000-0000-0000-0000-000000000000"}` + "\n" + `{"add":{"kind":"up","value":{"link":"br0"}}}` + "\n"
	if err := os.WriteFile(j.path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := openJournal(j.path, false)
	if err != nil || len(again.objects()) != 0 {
		t.Fatalf("it still says %v (%v)", again.objects(), err)
	}
	again.file.Close()
	if _, err := openJournal(j.path+"x", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one that is not there: %v", err)
	}
}

func FuzzJournal(f *testing.F) {
	boot, err := bootID()
	if err != nil {
		f.Skip(err)
	}
	f.Add(`{"add":{"kind":"up","value":{"link":"br0"}}}` + "\n" + `{"delete":"link br0 up"}`)
	f.Fuzz(func(t *testing.T, text string) {
		j := new(journal)
		data := []byte(fmt.Sprintf("{\"boot\":%q}\n%s", boot, text))
		if end, err := j.read(data); err == nil && end > len(data) {
			t.Errorf("read %d of %d bytes", end, len(data))
		}
		unmaking(j.objects())
	})
}

func TestLockHolders(t *testing.T) {
	t.Parallel()
	const locks = `1: FLOCK  ADVISORY  WRITE 1001 08:01:131 0 EOF
2: FLOCK  ADVISORY  READ 1002 08:01:77 0 EOF
2: -> FLOCK  ADVISORY  WRITE 1003 08:01:77 0 EOF
3: POSIX  ADVISORY  WRITE 1004 08:01:77 0 EOF
4: FLOCK  ADVISORY  READ 1005 08:01:77 0 EOF
`
	if got := fmt.Sprint(lockHolders(strings.NewReader(locks), 77)); got != "[1002 1005]" {
		t.Errorf("got %s", got)
	}
}

// TestRecorded finds journals also in a directory whose name looks like a pattern.
func TestRecorded(t *testing.T) {
	t.Parallel()
	h := &Host{dir: filepath.Join(t.TempDir(), "state[1]")}
	if names, err := h.recorded(); err != nil || len(names) > 0 {
		t.Errorf("without a directory: %q, %v", names, err)
	}
	err := os.Mkdir(h.dir, 0o700)
	for _, name := range []string{"br0.journal", "lab.1.journal", "lock"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(h.dir, name), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if names, err := h.recorded(); err != nil || strings.Join(names, " ") != "br0 lab.1" {
		t.Errorf("recorded: %q, %v", names, err)
	}
}
