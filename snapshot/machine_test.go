package snapshot

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/testroot"
)

// TestMachine boots a system from a tree on each driver, restores the tree when it has
// powered off, and boots from it again.
func TestMachine(t *testing.T) {
	needRoot(t)
	if testing.Short() {
		t.Skip("boots machines")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("needs systemd-nspawn: install systemd-container")
	}
	base := testroot.Debian(t, testroot.Bookworm)
	for _, b := range []bench{{Btrfs(), newPool(t, 4<<30).Dir()}, {Overlay(), newTmpfs(t)}, {Copy(), newTmpfs(t)}} {
		t.Run(b.driver.Name(), func(t *testing.T) {
			s := openStore(t, b.dir, Options{Driver: b.driver})
			v := newVolume(t, s, "gw")
			if out, err := exec.Command("cp", "-a", base+"/.", v.Path()).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			write(t, filepath.Join(v.Path(), "etc/systemd/system/note.service"), noteUnit)
			take(t, v, "installed", Metadata{})
			for range 2 {
				boot(t, v.Path())
				if text, err := os.ReadFile(filepath.Join(v.Path(), "booted")); strings.TrimSpace(string(text)) != "once" {
					t.Fatalf("the machine noted %q, %v", text, err)
				}
				if err := v.Restore(t.Context(), "installed"); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(v.Path(), "booted")); err == nil {
					t.Error("restored, the tree still has what the machine wrote")
				}
			}
		})
	}
}

// noteUnit is what the machine is booted for. It would note a second line if the tree
// had not been restored.
const noteUnit = `[Unit]
Requires=sysinit.target
After=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo once >> /booted; systemctl --no-block poweroff'
`

// boot runs a machine until it powers off, in cgroups of its own.
func boot(t *testing.T, root string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cgroup := "rig-snapshot-" + filepath.Base(t.TempDir()) + strings.ReplaceAll(t.Name(), "/", "-")
	script := `for h in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
	[ -e $h/cgroup.procs ] && mkdir -p $h/` + cgroup + ` && echo $$ > $h/` + cgroup + `/cgroup.procs
done
exec systemd-nspawn --quiet --register=no --keep-unit --boot --console=pipe --machine=rig-snapshot-test --directory "$0" systemd.unit=note.service`
	out, err := exec.CommandContext(ctx, "sh", "-c", script, root).CombinedOutput()
	for _, h := range []string{"/sys/fs/cgroup/systemd/", "/sys/fs/cgroup/unified/", "/sys/fs/cgroup/"} {
		_ = exec.Command("find", h+cgroup, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
