package prolo

import (
	"fmt"
	"net/netip"

	"github.com/prologin/rig/internal/lab"
	"github.com/prologin/rig/internal/lab/labcli"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

// MaxContestants is how many light machines there may be: the addresses of their
// network, less those of pas-r11p11 and of the virtual machine.
const MaxContestants = 200

// seats is how many machines stand in a row.
const seats = 20

// contestants are light machines beside those of the finals: clones of the base that
// get an address and a name from gw and report in.
func contestants(p Payload) []labcli.Machine {
	list := make([]labcli.Machine, p.Contestants)
	for i := range list {
		r := record{
			machine: fmt.Sprintf("pas-r%02dp%02d.%s", 21+i/seats, 1+i%seats, Domain),
			ip:      fmt.Sprintf("192.168.0.%d", 30+i), mtype: "user", room: "pasteur",
		}
		list[i] = labcli.Machine{
			Machine: lab.Machine{Name: r.machine, Addresses: addresses(r.ip), Config: nspawn.Config{
				// What a contestant's machine does not need to report in.
				KernelCommandLine: nspawn.MaskUnits("systemd-logind.service", "sshd.service", "systemd-timesyncd.service"),
			}},
			Stages: r.stages(p),
			Needs:  []string{MachineGW},
		}
	}
	return list
}

// stages are those of a light machine.
func (r record) stages(p Payload) []stage.Stage {
	return []stage.Stage{
		{
			Name: "get_lease",
			Doc:  "Enter the machine into gw's database, and have it ask for its address again.",
			Steps: []stage.Step{
				step.WriteFile{Path: "/etc/resolv.conf", Content: "search " + Domain + "\nnameserver " + LANAddress + "\n"},
				r.register(p),
				step.Restart{Units: []string{"systemd-networkd.service"}},
			},
			Checks: []stage.Check{
				check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(r.ip + "/23")},
				check.Resolves{Name: r.hostname() + "." + Domain, Server: LANAddress, Want: r.ip, Inside: true},
			},
			Needs: []string{MachineGW + "/last"},
		},
		{
			Name:   "report_in",
			Doc:    "The machine finds itself in gw's database, over the bridge and by name.",
			Checks: []stage.Check{check.URL{URL: "http://mdb/call/query", Body: r.hostname(), Inside: true}},
		},
	}
}
