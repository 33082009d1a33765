package snapshot

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestBusy: each way in which a machine holds its tree is seen and named.
func TestBusy(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	write(t, filepath.Join(v.Path(), "sub/f"), "1")
	take(t, v, "a", Metadata{})
	path := v.Path()
	for _, test := range []struct {
		name string
		cmd  *exec.Cmd
		say  string
	}{
		{"root", inChroot(path), "PID"},
		{"root below", inChroot(path + "/sub"), "PID"},
		{"mount in a namespace", exec.Command("unshare", "-m", "sh", "-c",
			"mount --bind "+path+" /mnt && echo && cat"), "PID"},
		{"mount of what is below", exec.Command("unshare", "-m", "sh", "-c",
			"mount --bind "+path+"/sub /mnt && echo && cat"), "PID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hold(t, test.cmd)
			for op, err := range map[string]error{
				"restore": v.Restore(t.Context(), "a"),
				"delete":  v.Delete(t.Context()),
			} {
				wantErr(t, err, ErrBusy)
				if !strings.Contains(err.Error(), test.say) {
					t.Errorf("%s does not say who: %v", op, err)
				}
			}
			_, err := v.Rename(t.Context(), "web")
			wantErr(t, err, ErrBusy)
			noLeftovers(t, s)
		})
	}
	if err := v.Restore(t.Context(), "a"); err != nil {
		t.Errorf("restore after all have gone: %v", err)
	}
}

// inChroot is a process whose root is dir.
func inChroot(dir string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=chroot", "SNAPSHOT_TEST_DIR="+dir)
	return cmd
}

// hold starts a command that runs until its standard input ends, and waits until it
// has said a line or, having nothing to say, echoed one.
func hold(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v", cmd, err)
		}
	})
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
}

// TestMountBelow: what is mounted into a tree would be lost, or worse.
func TestMountBelow(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	v := newVolume(t, s, "gw")
	sub := filepath.Join(v.Path(), "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", sub).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err := v.Delete(t.Context())
	wantErr(t, err, ErrBusy)
	if !strings.Contains(err.Error(), sub) {
		t.Errorf("does not say what: %v", err)
	}
	if out, err := exec.Command("umount", sub).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := v.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestChurn: a volume in use is looked at and copied while files and directories come and
// go in it.
func TestChurn(t *testing.T) {
	t.Parallel()
	for _, b := range benches(t) {
		t.Run(b.driver.Name(), func(t *testing.T) {
			s := openStore(t, b.dir, Options{Driver: b.driver})
			v := newVolume(t, s, "gw")
			take(t, v, "a", Metadata{})
			stop := churn(v.Path())
			for i := range 30 {
				if _, err := v.Size(t.Context(), ""); err != nil {
					t.Error(err)
				}
				for _, err := range v.Diff(t.Context(), "a", "") {
					if err != nil {
						t.Error(err)
					}
				}
				if !b.driver.Capabilities().Instant { // else nothing is copied
					take(t, v, fmt.Sprint("s", i), Metadata{})
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if err := v.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// churn makes and removes files and directories in dir until it is stopped.
func churn(dir string) (stop func() error) {
	quit, done := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for i := 0; err == nil; i = (i + 1) % 8 {
			select {
			case <-quit:
				done <- nil
				return
			default:
			}
			top := filepath.Join(dir, strconv.Itoa(i))
			err = os.RemoveAll(top)
			if err == nil {
				err = os.MkdirAll(top+"/x/y/z", 0o755)
			}
			if err == nil {
				err = os.WriteFile(top+"/x/file", []byte(top), 0o644)
			}
			if err == nil {
				err = errors.Join(os.Symlink("x", top+"/link"), os.Link(top+"/x/file", top+"/hard"))
			}
		}
		<-quit
		done <- err
	}()
	return func() error {
		close(quit)
		return <-done
	}
}
