package prolo

import (
	"context"

	"github.com/prologin/rig/stage"
	"github.com/prologin/rig/stage/check"
	"github.com/prologin/rig/stage/step"
)

var rhfs0 = record{
	machine: MachineRHFS, ip: "192.168.1.1", aliases: "rhfs0,hfs0,rfs0", mtype: "service", room: "pasteur",
}

// The exported root: what is being worked on, and what machines mount.
const (
	nfsStaging = "/export/nfsroot_staging"
	nfsRoot    = "/export/nfsroot_ro"
)

// rhfsStages are the stages of rhfs0, which has the root and the homes of the
// contestants' machines.
func rhfsStages(p Payload) []stage.Stage {
	return []stage.Stage{
		rhfs0.addToMDB(p),
		p.CopySADM(),
		rhfs0.allowRootSSH(),
		setupSADM(p),
		setupLibprologin(p),
		rhfs0.setupNetwork(p, "systemd_networkd_rhfs", "/etc/systemd/network/10-rhfs.network"),
		{
			Name:   "setup_rfs",
			Doc:    "Install the packages of a server of roots and homes.",
			Steps:  []stage.Step{step.Command(checkout + "/install_scripts/setup_rfs.sh")},
			Checks: []stage.Check{check.FilePresent{Path: "/usr/bin/pacstrap"}, check.FilePresent{Path: "/usr/bin/exportfs"}},
		},
		{
			Name:  "setup_rfs_nfs_archlinux",
			Doc:   "Install the Arch Linux that the contestants' machines are going to mount.",
			Steps: []stage.Step{p.install("rfs_nfs_archlinux")},
			Checks: []stage.Check{
				check.FilePresent{Path: nfsStaging + "/usr/bin/init"},
				check.FilePresent{Path: nfsStaging + "/boot/vmlinuz-linux"},
				check.FilePresent{Path: nfsStaging + "/boot/initramfs-linux-fallback.img"},
			},
		},
		{
			Name: "setup_rfs_nfs_sadm",
			Doc:  "Add SADM to it, and give its kernel to gw for those that boot over the network.",
			Steps: []stage.Step{
				p.install("rfs_nfs_sadm"),
				fetchOnGW(nfsStaging+"/boot/vmlinuz-linux", "/srv/tftp/kernel"),
				fetchOnGW(nfsStaging+"/boot/initramfs-linux-fallback.img", "/srv/tftp/initrd"),
			},
			Checks: []stage.Check{
				check.FilePresent{Path: nfsStaging + "/usr/bin/pamtester"},
				onGW("file() { test -s /srv/tftp/$1 && echo $1 is there; }; file kernel && file initrd", "initrd is there"),
			},
			Needs: []string{MachineGW + "/last"},
		},
		{
			Name: "install_rfs",
			Doc:  "Export it, and keep accounts and keys in it up to date.",
			Steps: []stage.Step{
				p.install("rfs"),
				step.Enable{Units: rfsUnits, Now: true},
			},
			Checks: append(enabledActive(rfsUnits...),
				check.Command{Args: []string{"exportfs", "-s"}, Output: nfsRoot},
				check.FileContains{Path: "/etc/passwd", Pattern: "^aproviste:x:"},
				check.FileContains{Path: nfsStaging + "/etc/passwd", Pattern: "^aproviste:x:"}),
			Needs: []string{MachineGW + "/last"},
		},
		{
			Name:   "install_rfs_nfs_packages_base",
			Doc:    "Add the packages that every contestant gets.",
			Steps:  []stage.Step{p.install("rfs_nfs_packages_base")},
			Checks: []stage.Check{check.FilePresent{Path: nfsStaging + "/usr/bin/python"}},
		},
		{
			Name:  "install_rfs_nfs_packages_extra",
			Doc:   "Add all that contestants may want.",
			Steps: []stage.Step{p.install("rfs_nfs_packages_extra")},
			Skip:  "not needed for tests, and large",
		},
		{
			Name: "install_hfs",
			Doc:  "Serve homes.",
			Steps: []stage.Step{
				p.install("hfs"),
				step.Enable{Units: []string{"hfs@0.service"}, Now: true},
			},
			Checks: append(enabledActive("hfs@0.service"),
				check.FilePresent{Path: "/export/skeleton"},
				check.Command{
					Args:   []string{"curl", "-sS", "hfs0:20100/get_hfs", "--data", `data={"user":"jmarchand","hfs":0,"utype":"user"}`},
					Output: `"port"`,
				}),
			Needs: []string{MachineGW + "/last"},
		},
		{
			Name: "setup_pas_network",
			Doc:  "Give pas-r11p11 its address: as a container it does not get one from a boot ROM.",
			Steps: []stage.Step{
				step.WriteFile{Path: nfsStaging + "/etc/systemd/network/10-" + pas.hostname() + ".network", Content: pasNetwork},
				step.Command("systemctl", "--root="+nfsStaging, "enable", "systemd-networkd.service"),
			},
		},
		{
			Name:   "commit_rfs_staging",
			Doc:    "Make the staged root the one that machines mount.",
			Steps:  []stage.Step{step.Command(checkout+"/rfs/commit_staging.sh", rhfs0.hostname())},
			Checks: []stage.Check{check.FilePresent{Path: nfsRoot + "/usr/bin/init"}},
		},
		{
			Name:   "last",
			Doc:    "Check all that rhfs0 is for.",
			Checks: []stage.Check{check.Run("bash", checkout+"/checks/check_rhfs.sh")},
		},
	}
}

var rfsUnits = []string{
	"udbsync_passwd.service", "udbsync_passwd_nfsroot.service", "udbsync_rootssh.service",
	"rpcbind.service", "nfs-server.service", "rootssh.path",
}

// fetchOnGW copies a file of rhfs0 to gw as root of gw would, with its key.
func fetchOnGW(from, to string) stage.Step {
	command := "scp -q " + opensSSH + " root@" + rhfs0.hostname() + ":" + from + " " + to
	return step.Func{
		Name: "copy " + from + " to " + MachineGW + ":" + to, Version: "1",
		Text: command + "   # on " + MachineGW,
		Do: func(ctx context.Context, s *stage.Session) error {
			gw, err := s.On(MachineGW)
			if err != nil {
				return err
			}
			return gw.Exec(ctx, stage.Command{Args: []string{"sh", "-c", command}})
		},
	}
}
