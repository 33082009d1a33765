package proc

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func TestStartTime(t *testing.T) {
	t.Parallel()
	own, err := StartTime(os.Getpid())
	if again, _ := StartTime(os.Getpid()); err != nil || own == "" || again != own {
		t.Errorf("our own: %q and %q, %v", own, again, err)
	}
	// The name of a program may look like the fields behind it.
	odd := filepath.Join(t.TempDir(), ") Z 1 (")
	if err := os.Symlink("/bin/cat", odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(odd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	started, err := StartTime(cmd.Process.Pid)
	if err != nil {
		t.Errorf("of a child: %v", err)
	}
	if _, err := strconv.ParseUint(started, 10, 64); err != nil {
		t.Error(err)
	}
	stdin.Close()
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := StartTime(cmd.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a zombie: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := StartTime(cmd.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}
