package nspawntest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// Scripts that tell by the result whether a filter is in the way of a system
// call: -1 is no descriptor, which only the kernel notices.
const (
	numbers    = `use POSIX; my %calls = (x86_64 => [74, 437], aarch64 => [82, 437]); my @n = @{$calls{(POSIX::uname())[4]}}; `
	syncScript = numbers + `print syscall($n[0], -1) == 0 ? "suppressed" : "real"`
	openScript = numbers + `my $dir = "/"; my $how = pack("QQQ", 0x200000, 0, 0); print syscall($n[1], -100, $dir, $how, 24) >= 0 ? "opened" : "refused: $!"`
)

// testSuppressSync wants syncs to be gone and everything else to be there,
// openat2 in particular, for services and for commands.
func testSuppressSync(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("unsynced"), SuppressSync: true})
	for _, script := range []struct{ text, want string }{{syncScript, "suppressed"}, {openScript, "opened"}} {
		for name, cmd := range map[string]*nspawn.Cmd{
			"Command":     m.Command(testContext(t), "perl", "-e", script.text),
			"CommandUnit": m.CommandUnit(testContext(t), "perl", "-e", script.text),
		} {
			if out, err := cmd.Output(); err != nil || string(out) != script.want {
				t.Errorf("%s: %q, %v, want %s", name, out, err, script.want)
			}
		}
	}
	synced := s.start(t, nspawn.Config{Name: s.name("synced"), Root: s.root(t)})
	if err := synced.WaitReady(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if out, err := synced.Command(testContext(t), "perl", "-e", syncScript).Output(); err != nil || string(out) != "real" {
		t.Errorf("without SuppressSync: %q, %v", out, err)
	}
}

// testLimits compares the limits of a command with those that the machine's
// manager gives to a service.
func testLimits(t *testing.T, s *suite) {
	m := s.boot(t, nspawn.Config{Name: s.name("limits")})
	want, err := m.CommandUnit(testContext(t), "cat", "/proc/self/limits").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := shell(t, m, "cat /proc/self/limits"); got != strings.TrimSpace(string(want)) {
		t.Errorf("limits of a command:\n%s\nof a service:\n%s", got, want)
	}
	cmd := m.Command(testContext(t), "sh", "-c", "ulimit -n")
	cmd.User = "nobody"
	if got, err := cmd.Output(); err != nil || string(got) != "1024\n" {
		t.Errorf("another user's descriptors: %q, %v", got, err)
	}
	few := s.boot(t, nspawn.Config{Name: s.name("few"), Limits: nspawn.Limits{OpenFiles: 300}})
	if got := shell(t, few, "ulimit -n; ulimit -Hn"); got != "300\n300" {
		t.Errorf("descriptors: %s", got)
	}
}

// testPrivileges is a machine like one that serves files: more system calls,
// devices and capabilities than usual, on a root that it cannot write.
func testPrivileges(t *testing.T, s *suite) {
	config := nspawn.Config{
		Name: s.name("server"), Root: s.root(t), ReadOnly: true, SuppressSync: true,
		Tmpfs:            []nspawn.Tmpfs{{Target: "/var", Options: "mode=0755"}, {Target: "/srv"}},
		Devices:          []string{"/dev/fuse", "/dev/net/tun", "-/dev/none-such"},
		Binds:            []nspawn.Bind{{Source: "/none/such", Target: "/mnt", Optional: true}},
		SystemCallFilter: []string{"open_by_handle_at", "name_to_handle_at"},
		Capabilities:     []string{"CAP_NET_ADMIN"}, DropCapabilities: []string{"CAP_SYS_PTRACE"},
		KernelVariables: nspawn.AccessNetwork,
	}
	m := s.start(t, config)
	if err := m.WaitReady(testContext(t)); err != nil {
		t.Fatal(err)
	}
	const script = `use POSIX; my %n = (x86_64 => 304, aarch64 => 265); my $handle = pack("II", 0, 0);
		syscall($n{(POSIX::uname())[4]}, -1, $handle, 0); print $! == EPERM ? "denied" : "allowed";
		for ("/dev/fuse", "/dev/net/tun") { open my $f, "+<", $_ or print " $_: $!" } print " none" if -e "/dev/none-such";
		open my $f, ">", "/etc/x" and print " /etc written"; open $f, ">", "/srv/x" or print " /srv: $!";
		open $f, ">", "/proc/sys/net/ipv4/ip_forward" or print " forward: $!"`
	if out, err := m.CommandUnit(testContext(t), "perl", "-e", script).Output(); err != nil || string(out) != "allowed" {
		t.Errorf("a service: %q, %v", out, err)
	}
	const netAdmin, sysPtrace = 1 << 12, 1 << 19
	var set uint64
	if _, err := fmt.Sscanf(shell(t, m, "grep CapEff /proc/self/status"), "CapEff: %x", &set); err != nil || set&netAdmin == 0 || set&sysPtrace != 0 {
		t.Errorf("capabilities of a command: %x, %v", set, err)
	}
	config.Name, config.Root, config.SystemCallFilter = s.name("plain"), s.root(t), nil
	plain := s.start(t, config)
	if err := plain.WaitReady(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if out, err := plain.CommandUnit(testContext(t), "perl", "-e", script).Output(); err != nil || string(out) != "denied" {
		t.Errorf("without the filter: %q, %v", out, err)
	}
}
