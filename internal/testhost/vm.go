package testhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prologin/rig/internal/qemu"
)

const (
	vmMemory = 3 << 10 // MiB
	vmCPUs   = 2
	// vmBootTimeout is for one that is emulated on a busy machine, which takes minutes;
	// half a minute of two processors is all that it needs.
	vmBootTimeout = 10 * time.Minute
	// shared is where a virtual host has the root directory of the machine around it.
	shared = "/run/rig/machine"
)

// startVM starts QEMU and waits until systemd in the host has started all that it
// starts at boot. What the host writes to its disk QEMU keeps in an unnamed file.
func (h *Host) startVM(ctx context.Context, image string) error {
	cmd, err := h.emulator(image)
	if err != nil {
		return err
	}
	if cmd.ExtraFiles, err = h.listen(); err != nil {
		return err
	}
	defer closeAll(cmd.ExtraFiles)
	ctx, cancel := context.WithTimeoutCause(ctx, vmBootTimeout, fmt.Errorf("not ready after %v", vmBootTimeout))
	defer cancel()
	running, err := h.launch(ctx, cmd)
	if err != nil {
		return err
	}
	if err := h.record(cmd.Process.Pid); err != nil {
		return err
	}
	err = h.call(running, exec.Command("/usr/bin/systemctl", "is-system-running", "--wait"), nil)
	if errors.As(err, new(*ExitError)) { // it runs, with units that failed
		return nil
	}
	return err
}

// emulator is the command that runs a virtual host: Debian's kernel started directly,
// a network card that leads nowhere, and the machine's files by 9p.
func (h *Host) emulator(image string) (*exec.Cmd, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("a virtual host on %s: %w", runtime.GOARCH, ErrNotSupported)
	}
	program, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return nil, fmt.Errorf("qemu-system-x86_64: %w: install qemu-system-x86", ErrMissing)
	}
	agent, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if agent, err = filepath.EvalSymlinks(agent); err != nil {
		return nil, err
	}
	accel, cpu := qemu.Accelerator()
	if accel != "kvm" {
		h.say("no hardware virtualisation here: QEMU emulates the host, some ten times slower")
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-machine", "q35", "-accel", accel, "-cpu", cpu, "-smp", fmt.Sprint(vmCPUs), "-m", fmt.Sprint(vmMemory),
		"-kernel", filepath.Join(image, "vmlinuz"), "-initrd", filepath.Join(image, "initrd.img"),
		"-append", "root=/dev/vda rootfstype=btrfs rw console=ttyS0 quiet mitigations=off systemd.show_status=0" +
			" systemd.unified_cgroup_hierarchy=1 systemd.hostname=" + h.name + " systemd.setenv=" + agentVar + "=" + agent,
		"-drive", "file=" + filepath.Join(image, "disk.img") + ",format=raw,if=virtio,snapshot=on,cache=unsafe,discard=unmap",
		"-netdev", "user,id=uplink,restrict=on", "-device", "virtio-net-pci,netdev=uplink",
		"-virtfs", "local,path=/,mount_tag=machine,security_model=passthrough,multidevs=remap",
		"-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
	}
	for n := range portCount {
		const firstExtra = 3 // see [exec.Cmd]
		args = append(args, "-chardev", fmt.Sprintf("socket,id=port%d,fd=%d,server=on,wait=off", n, firstExtra+n),
			"-device", fmt.Sprintf("virtserialport,chardev=port%d,name=%s%d", n, portPrefix, n))
	}
	return exec.Command(program, args...), nil
}

// makeBootable adds to a root what a host of its own kernel takes, and puts the
// kernel and its initial RAM disk at path.
func makeBootable(ctx context.Context, root, path string) error {
	for name, text := range vmFiles {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			return err
		}
	}
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.Symlink("../rig-agent.service", filepath.Join(wants, "rig-agent.service")); err != nil {
		return err
	}
	if err := run(ctx, "coreutils", "chroot", root, "update-initramfs", "-u", "-k", "all"); err != nil {
		return err
	}
	for _, name := range []string{"vmlinuz", "initrd.img"} {
		if err := copyOnly(filepath.Join(root, "boot", name+"-*"), filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// vmFiles are what a virtual host has beside its packages.
var vmFiles = map[string]string{
	// Only what reaches the disk: each module takes emulated time.
	"etc/initramfs-tools/conf.d/rig": "MODULES=list\n",
	"etc/initramfs-tools/modules":    "btrfs\nvirtio_pci\nvirtio_blk\n",
	"etc/systemd/system/run-rig-machine.mount": "[Mount]\nWhat=machine\nWhere=" + shared +
		"\nType=9p\nOptions=trans=virtio,version=9p2000.L,msize=512000,cache=mmap\n",
	"etc/systemd/system/rig-agent.service": "[Unit]\nRequiresMountsFor=" + shared +
		"\n[Service]\nExecStart=/bin/sh -c 'exec \"" + shared + "$" + agentVar + "\" " + AgentCommand + "'\n",
}

// copyOnly copies the one file that matches.
func copyOnly(pattern, to string) error {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s: %d files, want one", pattern, len(found))
	}
	from, err := os.Open(found[0])
	if err != nil {
		return err
	}
	defer from.Close()
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}
