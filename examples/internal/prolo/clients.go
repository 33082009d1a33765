package prolo

import (
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
		Doc:  "Let root of gw in with its key, even where udbsync_rootssh does not work.",
		Steps: []stage.Step{step.Func{
			Name: "allow root of gw", Version: "1",
			Text: "install -d -m 700 /root/.ssh\ncat >>/root/.ssh/authorized_keys   # and paste /root/.ssh/id_rsa.pub of " + MachineGW,
			Do: func(ctx context.Context, s *stage.Session) error {
				gw, err := s.On(MachineGW)
				if err != nil {
					return err
				}
				key, err := gw.Output(ctx, "cat", "/root/.ssh/id_rsa.pub")
				if err != nil {
					return err
				}
				return s.Exec(ctx, stage.Command{Args: []string{"sh", "-c",
					`umask 077; mkdir -p /root/.ssh; grep -qxF "$1" /root/.ssh/authorized_keys 2>/dev/null || echo "$1" >>/root/.ssh/authorized_keys`,
					"sh", string(trimNewline(key))}})
			},
		}},
		Checks: []stage.Check{onGW(fmt.Sprintf("ssh %s root@%s hostname", opensSSH, r.hostname()), r.hostname())},
		Needs:  []string{MachineGW + "/last"},
	}
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
}

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
