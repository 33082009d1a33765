// Package hosted_test has the tests of the guide that want a host with systemd.
package hosted_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
)

const (
	guide = "../../../doc"
	image = "/var/lib/machines/mygw"
)

// TestByHand types what the guide says of doing it by hand, block after block, as it
// stands there: a zone of networkd, a machine that outlives the terminal, a look inside,
// going back to a snapshot, cleaning up.
func TestByHand(t *testing.T) {
	testhost.Require(t)
	furnish(t)
	t.Cleanup(func() {
		exec.Command("sh", "-c", "rm -f /etc/systemd/network/10-vz-prolo.network; networkctl reload").Run()
	})

	typed(t, block(t, "network.md", "cat >/etc/systemd/network/10-vz-prolo.network"))
	start := block(t, "deep-dive.md", "systemd-run systemd-nspawn")
	boot(t, start)
	eventually(t, "ip -oneline address show dev vz-prolo | grep -w 10.0.0.1/24")
	eventually(t, "nft list ruleset | grep masquerade")
	typed(t, "ip link show vb-mygw | grep 'master vz-prolo'")
	if out := typed(t, block(t, "deep-dive.md", "machinectl shell mygw")); !strings.Contains(out, "mygw") || !strings.Contains(out, "State: running") {
		t.Errorf("inside it looks like\n%s", out)
	}

	before, after := filepath.Join(image, "root/before"), filepath.Join(image, "root/after")
	typed(t, "touch "+before)
	back := block(t, "snapshots.md", "machinectl poweroff mygw")
	snapshot, rest, _ := strings.Cut(back, "\n")
	typed(t, snapshot+"\ntouch "+after+"\n"+rest)
	typed(t, "ls "+before+" && ! ls "+after)
	typed(t, "btrfs subvolume delete "+image+" "+image+".before")

	furnish(t)
	boot(t, start)
	mounted := filepath.Join(image, "mnt")
	typed(t, "mount --bind /usr "+mounted)
	// The guide leaves it to the reader what is mounted.
	out := typed(t, strings.ReplaceAll(block(t, "clean-up.md", "findmnt -rno TARGET | grep"), image+"/…", mounted))
	if !strings.Contains(out, mounted+"\n") {
		t.Errorf("findmnt does not show what is mounted:\n%s", out)
	}
	typed(t, "! ls "+image+" && ! machinectl status mygw")
}

// TestPairByHand makes the bridge and the pair that outlive a machine.
func TestPairByHand(t *testing.T) {
	testhost.Require(t)
	out := run(t, "unshare", "-n", "bash", "-euxc", block(t, "network.md", "ip link add prologin type bridge"))
	if !strings.Contains(out, "gw.bridge@gw.local") || !strings.Contains(out, "master prologin") {
		t.Errorf("the bridge has\n%s", out)
	}
}

// block returns the block of a page that has a line which begins so.
func block(t *testing.T, page, line string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(guide, page))
	if err != nil {
		t.Fatal(err)
	}
	code := ""
	for l := range strings.Lines(string(text) + "end\n") {
		if inside, indented := strings.CutPrefix(l, "    "); indented || l == "\n" {
			code += inside
			continue
		}
		if strings.Contains("\n"+code, "\n"+line) {
			return strings.Trim(code, "\n")
		}
		code = ""
	}
	t.Fatalf("%s has no block with %q", page, line)
	return ""
}

// typed runs lines as a person types them, who stops at the first that fails.
func typed(t *testing.T, lines string) string {
	t.Helper()
	return run(t, "bash", "-euo", "pipefail", "-c", lines)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader("exit\n") // of a shell in the machine
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, strings.Join(args, " "), out.String())
	}
	return out.String()
}

// boot starts the machine as the guide does and waits until it runs.
func boot(t *testing.T, start string) {
	t.Helper()
	typed(t, start)
	t.Cleanup(func() { exec.Command("machinectl", "poweroff", "mygw").Run() })
	eventually(t, "systemctl -M mygw is-system-running")
}

// eventually repeats a command that tells what nobody announces.
func eventually(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, "bash", "-c", command).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v\n%s", command, err, out)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// furnish makes the machine's tree, on the btrfs that the host's /var/lib/machines is. In it
// systemd makes the subvolumes that it makes in an Arch.
func furnish(t *testing.T) {
	t.Helper()
	typed(t, "btrfs subvolume create "+image+" && cp -a "+testroot.Debian(t, testroot.Trixie)+"/. "+image)
	const nested = "Q /var/lib/machines 0700 - - -\nQ /var/lib/portables 0700 - - -\n"
	if err := os.WriteFile(filepath.Join(image, "usr/lib/tmpfiles.d/nested.conf"), []byte(nested), 0o644); err != nil {
		t.Fatal(err)
	}
}
