package archtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot/archtest"
)

// TestDebianMirror is the life of a machine: installed by the host's pacman with
// signatures required, booted, and given services by its own pacman.
func TestDebianMirror(t *testing.T) {
	t.Parallel()
	for _, suite := range suites() {
		t.Run(string(suite), func(t *testing.T) {
			m := debianMirror(t, archtest.Options{Suite: suite})
			needMachines(t)
			root := install(t, m)
			machine := boot(t, root)
			if state := machine.mustSh(t, "systemctl is-system-running || true"); state != "running" {
				t.Errorf("the system is %s:\n%s", state, machine.mustSh(t, "systemctl --failed --no-pager"))
			}
			useMirror(t, m, machine, root)
			services(t, machine)
			machine.mustSh(t, "infocmp rxvt-unicode")
			kernel(t, machine)
			system(t, machine)
			upkeep(t, machine)
		})
	}
}

// needMachines skips a test where pacstrap or nspawn is not at hand.
func needMachines(t *testing.T) {
	t.Helper()
	need(t, "ip", "pacman", "pacman-key", "pacstrap", "systemd-nspawn", "nsenter")
}

// install makes a root with pacstrap.
func install(t *testing.T, m *archtest.Mirror) string {
	t.Helper()
	h := newHost(t, m)
	if _, err := h.run(t, "pacstrap", "-c", "-G", "-M", "-C", h.conf, h.root,
		"base", "openssh", "vim", "bind-tools", "rxvt-unicode-terminfo"); err != nil {
		t.Fatal(err)
	}
	out, err := h.pacman(t, "-Qkk")
	if err != nil {
		t.Errorf("the fresh root differs from its packages: %v", altered(out))
	}
	for _, name := range []string{"usr/bin/sshd", "usr/bin/vim", "usr/bin/dig", "usr/lib/systemd/system/sshd.service",
		"usr/bin/init", "usr/bin/sh"} {
		if _, err := os.Stat(filepath.Join(h.root, name)); err != nil {
			t.Error(err)
		}
	}
	keys, err := filepath.Glob(filepath.Join(h.root, "etc/ssh/ssh_host_*"))
	if err != nil || len(keys) > 0 {
		t.Errorf("packages bring host keys: %q", keys)
	}
	return h.root
}

// useMirror serves the mirror inside the machine, whose network nobody set up,
// and tells its pacman.
func useMirror(t *testing.T, m *archtest.Mirror, machine machine, root string) {
	t.Helper()
	if _, err := m.Listen(t.Context(), "127.0.0.1:8000", machine.netns()); err != nil {
		t.Fatal(err)
	}
	list := "Server = http://127.0.0.1:8000/$repo/os/$arch\n"
	if err := os.WriteFile(filepath.Join(root, "etc/pacman.d/mirrorlist"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	machine.mustSh(t, "pacman-key --init && pacman-key --populate archlinux")
	machine.mustSh(t, "gpgconf --homedir /etc/pacman.d/gnupg --kill all")
}

func services(t *testing.T, machine machine) {
	t.Helper()
	machine.mustSh(t, "pacman -Sy --noconfirm --noprogressbar nginx bind")
	machine.mustSh(t, "systemctl enable --now sshd nginx named")
	for _, unit := range []string{"sshd", "nginx", "named"} {
		if state := machine.mustSh(t, "systemctl is-active "+unit+" || true"); state != "active" {
			t.Errorf("%s is %s:\n%s", unit, state, machine.mustSh(t, "journalctl --no-pager -u "+unit))
		}
	}
	if page := machine.mustSh(t, "curl -sS http://127.0.0.1/"); !strings.Contains(page, "Welcome to nginx") {
		t.Errorf("nginx serves %q", page)
	}
	if address := machine.mustSh(t, "dig +short @127.0.0.1 localhost A"); address != "127.0.0.1" {
		t.Errorf("named says that localhost is %q", address)
	}
	if owner := machine.mustSh(t, "ps -o user= -C named && stat -c %U /var/named && id -u http"); owner != "named\nnamed\n33" {
		t.Errorf("named's user, owner of /var/named, number of http: %q", owner)
	}
	if banner := machine.mustSh(t, "timeout 5 bash -c 'read -r line </dev/tcp/127.0.0.1/22 && echo $line'"); !strings.HasPrefix(banner, "SSH-2.0") {
		t.Errorf("sshd says %q", banner)
	}
}

// kernel installs what a machine that boots by itself has, and takes it away.
func kernel(t *testing.T, machine machine) {
	t.Helper()
	machine.mustSh(t, "pacman -S --noconfirm --noprogressbar linux linux-firmware mkinitcpio")
	const images = "ls /boot/vmlinuz-linux /boot/initramfs-linux.img /boot/initramfs-linux-fallback.img /etc/mkinitcpio.d/linux.preset"
	machine.mustSh(t, images)
	if got := machine.mustSh(t, "bsdtar -tf /boot/initramfs-linux.img"); !strings.Contains(got, "kernel-6.12.1-arch1-1") {
		t.Errorf("the initramfs holds %q", got)
	}
	machine.mustSh(t, "mkinitcpio -P && pacman -Rs --noconfirm linux")
	if out, err := machine.sh(t, images); err == nil {
		t.Errorf("left of the kernel: %s", out)
	}
}

// system looks at what Arch has in its packages systemd and pacman and Debian elsewhere.
func system(t *testing.T, machine machine) {
	t.Helper()
	machine.mustSh(t, "systemctl start systemd-resolved && resolvectl query localhost && systemctl stop systemd-resolved")
	machine.mustSh(t, "udevadm --version && test -f /usr/lib/systemd/system/systemd-udevd.service")
	if got := machine.mustSh(t, "vercmp 1.2-1 1.10-1"); got != "-1" {
		t.Errorf("vercmp says %s", got)
	}
	if got := machine.mustSh(t, "id -un alpm"); got != "alpm" {
		t.Errorf("the account for downloads: %q", got)
	}
}

// upkeep asks the machine's pacman the questions that need whole databases.
func upkeep(t *testing.T, machine machine) {
	t.Helper()
	if out, err := machine.sh(t, "pacman -Qkk"); err != nil {
		t.Errorf("the machine differs from its packages: %v", altered(out))
	}
	if out := machine.mustSh(t, "pacman -Fy >/dev/null && pacman -F /usr/bin/nginx"); !strings.Contains(out, "extra/nginx") {
		t.Errorf("pacman -F says %q", out)
	}
	if out := machine.mustSh(t, "pacman -Syu --noconfirm"); !strings.Contains(out, "nothing to do") {
		t.Errorf("pacman -Syu says %q", out)
	}
	machine.mustSh(t, "echo 'fr_FR.UTF-8 UTF-8' >>/etc/locale.gen && locale-gen && LC_ALL=fr_FR.UTF-8 locale charmap")
}

// altered keeps the lines of pacman -Qkk that are findings.
func altered(out string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.Contains(line, " 0 altered files") && !strings.HasPrefix(line, "backup file:") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
