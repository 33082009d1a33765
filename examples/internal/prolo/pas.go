package prolo

import (
	"net/netip"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

var pas = record{machine: MachinePas, ip: "192.168.0.11", mtype: "user", room: "pasteur"}

// pasNetwork is in the root that all contestants' machines share.
const pasNetwork = `[Match]
Host=pas-r11p11
Name=host0

[Network]
Address=192.168.0.11/23
Gateway=` + LANAddress + `
LLDP=yes
`

// contestant is the user who logs in.
const contestant = "aproviste"

// pasStages are the stages of pas-r11p11, a contestant's machine without a disk, whose
// root is the one that rhfs0 exports.
func pasStages(p Payload) []stage.Stage {
	needs := []string{MachineGW + "/last", MachineRHFS + "/last"}
	stages := []stage.Stage{
		{
			Name: "setup_rootfs",
			Doc:  "Boot from the root that rhfs0 exports, bound read-only, with what changes in memory.",
			Checks: []stage.Check{
				check.HasAddress{Interface: "host0", Address: netip.MustParsePrefix(pas.ip + "/23")},
				check.Run("sh", "-c", "! touch /read-only 2>/dev/null"),
				check.Mounted{Path: "/home", Type: "tmpfs"},
				check.Mounted{Path: "/var/log", Type: "tmpfs"},
			},
			Needs: needs,
		},
		{
			Name:   "add_to_mdb",
			Doc:    "Enter the machine into gw's database, and restart it.",
			Steps:  []stage.Step{pas.register(p), step.Reboot{}},
			Checks: []stage.Check{check.Resolves{Name: pas.hostname() + "." + Domain, Server: LANAddress, Want: pas.ip, Inside: true}},
			Needs:  needs,
		},
		{
			Name: "test_local_network",
			Doc:  "Look whether gw and rhfs0 answer it.",
			Checks: append(pas.network(p),
				check.Command{Args: []string{"sh", "-c", "if command -v nfs-ls >/dev/null; then nfs-ls nfs://rfs0" + nfsRoot + "?version=3; else showmount -e rfs0; fi"}, Output: ""}),
			Needs: needs,
		},
		{
			Name:  "user_login",
			Doc:   "Log a contestant in: the home comes from rhfs0.",
			Steps: []stage.Step{step.Command("pamtester", "login", contestant, "open_session")},
			Checks: []stage.Check{
				check.Run("findmnt", "/home/"+contestant),
				check.Run("sh", "-c", "ls -A /home/"+contestant+" | grep -vx lost+found"), // the skeleton
				check.Run("runuser", "-u", contestant, "--", "touch", "/home/"+contestant+"/written"),
			},
			Needs: needs,
		},
		{
			Name:   "test_internet",
			Doc:    "Look whether the firewall lets the machine out on which somebody is logged in.",
			Checks: []stage.Check{check.URL{URL: p.Internet, Inside: true}},
			Needs:  needs,
		},
		{
			Name:   "user_logout",
			Doc:    "Log the contestant out: the home goes.",
			Steps:  []stage.Step{step.Command("pamtester", "login", contestant, "close_session")},
			Checks: []stage.Check{check.Run("sh", "-c", "! findmnt /home/"+contestant)},
			Needs:  needs,
		},
	}
	if p.VM {
		stages = append(stages, vmStage(p))
	}
	return stages
}
