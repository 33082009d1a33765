package testhost

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bootTimeout is generous: a boot takes 2 s here, 20 s under heavy load.
const bootTimeout = 2 * time.Minute

//go:embed launch.sh
var launchScript string

// boot starts a fresh host, after sweeping the last one, and waits until it is
// ready. If it fails, nothing is left.
func (h *Host) boot(ctx context.Context) error {
	image, err := h.build(ctx)
	if err != nil {
		return err
	}
	started := time.Now()
	if err := h.sweep(ctx); err != nil {
		return fmt.Errorf("sweep the last host: %w", err)
	}
	if err := h.start(ctx, image); err != nil {
		console, _ := os.ReadFile(h.path("console.log"))
		err = fmt.Errorf("%w: %w\n%s", ErrBoot, err, tail(console, 20))
		return errors.Join(err, h.stop(ctx))
	}
	h.say("booted %s in %.1f s", h.name, time.Since(started).Seconds())
	return nil
}

func (h *Host) start(ctx context.Context, image string) error {
	if h.cfg.VM {
		return h.startVM(ctx, image)
	}
	if err := run(ctx, "coreutils", "cp", "--sparse=always", filepath.Join(image, "disk.img"), h.path("disk.img")); err != nil {
		return err
	}
	ready, err := listenNotify(h.name)
	if err != nil {
		return err
	}
	defer ready.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, bootTimeout, fmt.Errorf("not ready after %v", bootTimeout))
	defer cancel()
	nspawn, err := h.nspawn(ready.Address())
	if err != nil {
		return err
	}
	running, err := h.launch(ctx, nspawn)
	if err != nil {
		return err
	}
	leader, err := ready.Wait(running)
	if err != nil {
		return err
	}
	return h.record(leader)
}

// launch starts what runs the host as a process that outlives us, in a cgroup of
// its own. The context that it returns ends with that process, too.
func (h *Host) launch(ctx context.Context, cmd *exec.Cmd) (context.Context, error) {
	group, err := h.cgroup().create()
	if err != nil {
		return nil, err
	}
	defer group.Close()
	console, err := os.Create(h.path("console.log"))
	if err != nil {
		return nil, err
	}
	defer console.Close()
	cmd.Stdout, cmd.Stderr = console, console
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true // no Ctrl-C meant for the first user ends it for all
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = int(group.Fd())
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	running, ended := context.WithCancelCause(ctx)
	go func() {
		_ = cmd.Wait() // reaped if it ends before us; why it ended is in the console
		ended(ErrGone)
	}()
	return running, nil
}

// nspawn is the command that runs a host in a container.
func (h *Host) nspawn(notify string) (*exec.Cmd, error) {
	if err := os.MkdirAll(h.path("root"), 0o755); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		return nil, fmt.Errorf("systemd-nspawn: %w: install systemd-container (Debian) or systemd (Arch)", ErrMissing)
	}
	args := append([]string{"-eu", "-c", launchScript, "launch.sh", h.path("disk.img"), h.path("root")}, h.nspawnArgs()...)
	cmd := exec.Command("sh", args...)
	cmd.Env = append(os.Environ(),
		"NOTIFY_SOCKET="+notify,
		"SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes", // sysctls, and udev, which wants a writable /sys
		"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
		"SYSTEMD_NSPAWN_TMPFS_TMP=0", // nor nspawn's own, see configure
		"SYSTEMD_NSPAWN_LOCK=0",      // its lock file would be left beside the root
		"SYSTEMD_SECCOMP=0",          // else inherited by every machine started inside
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	return cmd, nil
}

func (h *Host) nspawnArgs() []string {
	args := []string{
		"--register=no", "--keep-unit", "--boot",
		"--directory=" + h.path("root"), "--machine=" + h.name,
		"--private-network", "--resolv-conf=off", "--link-journal=no",
		"--capability=all", "--notify-ready=yes",
		"--console=pipe",
	}
	for _, dev := range []string{"/dev/net/tun", "/dev/btrfs-control", "/dev/loop-control", "/dev/fuse", "/dev/kvm"} {
		if _, err := os.Stat(dev); err == nil {
			args = append(args, "--bind="+dev)
		}
	}
	return args
}

// tail returns the last n lines of text.
func tail(text []byte, n int) string {
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
