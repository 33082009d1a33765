package prolo

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// What the stages of several machines share that get their address from gw.

// opensSSH are the options of an ssh that asks nobody.
const opensSSH = "-o BatchMode=yes -o ConnectTimeout=5 -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"

// allowRootSSH is the stage of that name.
func (r record) allowRootSSH() stage.Stage {
	return stage.Stage{
		Name: "allow_root_ssh",
		Doc:  "Let root of gw in with its key, even where udbsync_rootssh does not work, and root into gw.",
		Steps: []stage.Step{step.Func{
			Name: "share the key of gw's root", Version: "2",
			Text: "install -d -m 700 /root/.ssh\n" +
				"# Copy /root/.ssh/id_rsa of " + MachineGW + " here, readable for root only, and:\n" +
				"ssh-keygen -y -f /root/.ssh/id_rsa >>/root/.ssh/authorized_keys\n" +
				"echo 'StrictHostKeyChecking no' >>/root/.ssh/config",
			Do: func(ctx context.Context, s *stage.Session) error {
				gw, err := s.On(MachineGW)
				if err != nil {
					return err
				}
				key, err := gw.Output(ctx, "cat", "/root/.ssh/id_rsa")
				if err != nil {
					return err
				}
				return s.Exec(ctx, stage.Command{Args: []string{"sh", "-c", shareKey}, Stdin: bytes.NewReader(key)})
			},
		}},
		Checks: []stage.Check{
			onGW(fmt.Sprintf("ssh %s root@%s hostname", opensSSH, r.hostname()), r.hostname()),
			check.Command{Args: []string{"ssh", "-o", "BatchMode=yes", "gw", "hostname"}, Output: "gw"},
		},
		Needs: []string{MachineGW + "/last"},
	}
}

// shareKey installs the private key that it reads.
const shareKey = `set -e
umask 077
mkdir -p /root/.ssh
cd /root/.ssh
cat >id_rsa
line=$(ssh-keygen -y -f id_rsa)
grep -qF "$line" authorized_keys 2>/dev/null || echo "$line" >>authorized_keys
grep -qs StrictHostKeyChecking config || echo 'StrictHostKeyChecking no' >>config`

// onGW holds when a command on gw prints a text.
func onGW(command, output string) stage.Check {
	run := check.Command{Args: []string{"sh", "-c", command}, Output: output}
	return check.Func{
		Name: fmt.Sprintf("on %s, %q prints %q", MachineGW, command, output),
		Text: command + "   # on " + MachineGW,
		Look: func(ctx context.Context, s *stage.Session) error {
			gw, err := s.On(MachineGW)
			if err != nil {
				return err
			}
			return run.Probe(ctx, gw)
		},
	}
}

// setupNetwork is the stage of that name of a machine whose address comes by DHCP.
func (r record) setupNetwork(p Payload, component, file string) stage.Stage {
	return stage.Stage{
		Name: "setup_network",
		Doc:  "Install the payload's network settings, for the interface that a container has.",
		Steps: []stage.Step{
			p.install(component, "nic_configuration"),
			step.Command("sed", "-i", "s/^Name=.*/Name=host0/", file),
			step.Restart{Units: []string{"systemd-networkd.service"}},
			skipped{"systemctl enable --now nic-configuration@host0", "a veth has no pause settings"},
		},
		Checks: append(r.network(p), check.URL{URL: p.Internet, Inside: true}),
	}
}

// network holds when the machine has its address and gw answers it.
func (r record) network(Payload) []stage.Check {
	return []stage.Check{
		check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(r.ip + "/23")},
		check.URL{URL: "http://mdb/call/query", Body: `"` + r.hostname() + `"`, Inside: true},
	}
}
