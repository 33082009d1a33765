package nspawn_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/prologin/rig/nspawn"
)

// facts is a unit that tells by a file of the host's what machine it is in, and
// ends that.
const facts = `[Unit]
DefaultDependencies=no
After=basic.target
[Service]
Type=oneshot
ExecStart=sh -c 'exec >/facts/new 2>&1; hostname; cat /etc/machine-id; tr "\\0" "\\n" </proc/1/environ | grep -e GREETING -e container; \
	tr "\\0" " " </proc/1/cmdline; systemctl is-enabled cron.service; grep Cap /proc/1/status; ls /sys/class/net; \
	grep -e " /mnt " -e " /ro " -e " /srv " /proc/self/mounts | cut -d" " -f2-4 | sed "s/,workdir=.*//"; cat /ro/a:b; stat -c %%t:%%T /dev/fuse; cat /run/credentials/@system/motto; \
	ulimit -Hn; exec >/dev/null 2>&1; mv /facts/new /facts/done; poweroff'
ExecStartPost=sleep infinity
`

// TestPastedCommandLine boots one machine by a host and by its printed command
// line in a shell, and lets it tell itself what it is.
func TestPastedCommandLine(t *testing.T) {
	t.Parallel()
	host := openHost(t, nspawn.HostOptions{})
	told, shared, upper := t.TempDir(), t.TempDir(), t.TempDir()
	root := newRoot(t)
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(shared, "a:b"), "of the host\n")
	write(filepath.Join(root, "etc/systemd/system/facts.service"), facts)
	for _, dir := range []string{"facts", "ro"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := nspawn.Config{
		Name: fmt.Sprintf("pasted%d", os.Getpid()), Root: root, Hostname: "inside", MachineID: strings.Repeat("1a", 16),
		KernelCommandLine: append(nspawn.MaskUnits("cron.service"), "systemd.wants=facts.service"),
		Environment:       []string{`GREETING=it's "me" & $HOME`},
		Credentials:       []nspawn.Credential{{ID: "motto", Value: "back\\slash\tand 'quotes'\n"}},
		Binds:             []nspawn.Bind{{Source: told, Target: "/facts"}, {Source: shared, Target: "/ro", ReadOnly: true}},
		Tmpfs:             []nspawn.Tmpfs{{Target: "/mnt", Options: "mode=0700,size=1m"}},
		Overlays:          []nspawn.Overlay{{Layers: []string{shared, upper}, Target: "/srv"}},
		Devices:           []string{"/dev/fuse"}, Capabilities: []string{"CAP_NET_ADMIN"}, DropCapabilities: []string{"CAP_SYS_PTRACE"},
		Limits: nspawn.Limits{OpenFiles: 2048}, Console: nspawn.ConsoleReadOnly,
	}
	line, err := host.CommandLine(config)
	if err != nil {
		t.Fatal(err)
	}
	m := start(t, host, config)
	if status, err := m.Wait(testContext(t)); err != nil || status.Code != 0 {
		t.Fatalf("Wait: %+v, %v", status, err)
	}
	done := filepath.Join(told, "done")
	byHost, err := os.ReadFile(done)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(done); err != nil {
		t.Fatal(err)
	}
	paste(t, host, line)
	byHand, err := os.ReadFile(done)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(byHost), string(byHand)); diff != "" {
		t.Errorf("%s\nboots another machine (-by the host +by hand):\n%s", line, diff)
	}
	t.Logf("%s\n%s", line, byHand)
	for _, want := range []string{"inside\n", `it's "me" & $HOME`, "of the host", "masked", "/mnt tmpfs rw", "/srv overlay rw", "back\\slash\tand 'quotes'", "a:e5"} {
		if !strings.Contains(string(byHand), want) {
			t.Errorf("%q is not in\n%s", want, byHand)
		}
	}
}

// paste runs a line in a shell until the machine has powered itself off. Where it
// does without systemd, the shell has a control group and a /run of its own.
func paste(t *testing.T, host *nspawn.Host, line nspawn.CommandLine) {
	t.Helper()
	script := line.String()
	cmd := exec.CommandContext(testContext(t), "sh", "-ec", script)
	if host.Launcher() == nspawn.LauncherDirect {
		group := fmt.Sprintf("/sys/fs/cgroup/pasted%d", os.Getpid())
		cmd.Args[2] = fmt.Sprintf(`umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; mkdir -p %s/here /run/systemd/nspawn
			echo $$ >%[1]s/here/cgroup.procs; mount -t tmpfs none /run/systemd/nspawn; %s
			echo $$ >/sys/fs/cgroup/cgroup.procs; find %[1]s -depth -type d -exec rmdir {} +`, group, script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
