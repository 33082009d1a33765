package prolo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// record is what gw's machine database knows of a machine.
type record struct {
	machine string // as the host calls it
	ip      string
	aliases string // separated by commas
	mtype   string
	room    string
	server  int // rfs and hfs that it uses
}

func (r record) hostname() string { return hostname(r.machine) }

// arguments are those of manage.py addmachine.
func (r record) arguments(mac string) []string {
	server := strconv.Itoa(r.server)
	return []string{"addmachine", "--hostname", r.hostname(), "--mac", mac, "--ip", r.ip, "--rfs", server,
		"--hfs", server, "--mtype", r.mtype, "--room", r.room,
		"--aliases", cmp.Or(r.aliases, r.hostname())} // it may not be left out, nor be empty
}

// addToMDB is the stage of that name: from then on gw gives the machine its address
// and its names.
func (r record) addToMDB(p Payload) stage.Stage {
	return stage.Stage{
		Name: "add_to_mdb",
		Doc:  "Enter the machine into gw's database, and restart it: now it gets its address from gw.",
		Steps: []stage.Step{
			step.WriteFile{Path: "/etc/resolv.conf", Content: "search " + Domain + "\nnameserver " + LANAddress + "\n"},
			r.register(p),
			step.Reboot{},
		},
		Checks: []stage.Check{
			check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(r.ip + "/23")},
			check.Resolves{Name: r.hostname() + "." + Domain, Server: LANAddress, Want: r.ip, Inside: true},
		},
		Needs: []string{MachineGW + "/last"},
	}
}

// register is the step that enters the machine with the MAC address that it has.
func (r record) register(p Payload) stage.Step {
	remove, add := p.manageArgs("mdb", "delmachine", r.hostname()), p.manageArgs("mdb", r.arguments("$mac")...)
	return step.Func{
		Name:    "add " + r.hostname() + " to mdb",
		Version: "1",
		Inputs:  map[string]string{"command": strings.Join(add, " ")},
		Text: "mac=$(cat /sys/class/net/host0/address)   # and with it, on " + MachineGW + ":\n" +
			strings.Join(remove, " ") + "\n" + strings.Join(add, " "),
		Do: func(ctx context.Context, s *stage.Session) error {
			mac, err := s.Output(ctx, "cat", "/sys/class/net/host0/address")
			if err != nil {
				return err
			}
			gw, err := s.On(MachineGW)
			if err != nil {
				return err
			}
			// It fails where there is no such machine yet.
			_ = gw.Exec(ctx, stage.Command{Args: remove})
			return r.enter(ctx, gw.Exec, p, string(bytes.TrimSpace(mac)))
		},
	}
}

// knownToDHCP waits until the DHCP server knows a MAC address: before, it would take
// the machine for an unknown one.
const knownToDHCP = `for i in $(seq 100); do
	grep -qi "$1" /etc/dhcpd/generated.conf && systemctl is-active --quiet dhcpd4 && exit
	sleep 0.1
done
echo "dhcpd did not learn of $1 within 10 s" >&2
exit 1`

func (r record) enter(ctx context.Context, exec execFunc, p Payload, mac string) error {
	if err := exec(ctx, stage.Command{Args: p.manageArgs("mdb", r.arguments(mac)...)}); err != nil {
		return err
	}
	return exec(ctx, stage.Command{Args: []string{"sh", "-c", knownToDHCP, "sh", mac}})
}

type execFunc = func(context.Context, stage.Command) error

// listMachines asks gw's machine database, if there is one, once it answers: it may have
// been started a moment ago, and nginx and the name server may not be there yet.
const listMachines = `systemctl is-active --quiet mdb || exit 0
curl -sSf --retry 30 --retry-delay 1 --retry-all-errors -H 'Host: mdb' http://127.0.0.1:20000/call/query`

// announce enters a machine again that gw has forgotten: gw's tree may have been
// restored to what it was before the machine was entered. On a gw that has no
// database yet it does nothing.
func (r record) announce(p Payload) func(context.Context, execFunc) error {
	return func(ctx context.Context, exec execFunc) error {
		var answer bytes.Buffer
		err := exec(ctx, stage.Command{Args: []string{"sh", "-c", listMachines}, Stdout: &answer})
		if err != nil || answer.Len() == 0 {
			return err
		}
		type machine struct{ Hostname string }
		var known []machine
		if err := json.Unmarshal(answer.Bytes(), &known); err != nil {
			return fmt.Errorf("machines of %s: %w", MachineGW, err)
		}
		if slices.ContainsFunc(known, func(m machine) bool { return m.Hostname == r.hostname() }) {
			return nil
		}
		return r.enter(ctx, exec, p, MAC(r.machine))
	}
}
